//! What checks return, and the macro that they are written with. `http-checks-concurrent` uses
//! this file as well.

/// The result of a check; the error describes the difference.
pub(crate) type Checked = Result<(), String>;

/// Ends a check with an error if a value does not match the pattern.
macro_rules! holds {
    ($value:expr, $wanted:pat) => {
        match $value {
            $wanted => {}
            other => {
                let (value, wanted) = (stringify!($value), stringify!($wanted));
                return Err(format!("{value} is {other:?}, not {wanted}"));
            }
        }
    };
}
pub(crate) use holds;
