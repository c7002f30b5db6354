//! Replaces functions of wasmtime's linker with functions that pass the gate.

use wasmtime::{
    StoreContextMut,
    component::{ComponentNamedList, Lift, Linker, LinkerInstance, Lower},
};

/// Replaces a function of wasmtime. It is an error if there is no such function, as after an update
/// that renames it: guests would then bypass the gate.
pub(super) fn replace<T, P, R>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
    function: impl Fn(StoreContextMut<'_, T>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    T: Send + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    define_over(linker, interface, name, |instance| instance.func_wrap(name, function))
}

/// Like [`replace`], for an async function.
pub(super) fn replace_async<T, P, R>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
    function: impl for<'a> Fn(
        StoreContextMut<'a, T>,
        P,
    ) -> Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>
    + Send
    + Sync
    + 'static,
) -> wasmtime::Result<()>
where
    T: Send + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    define_over(linker, interface, name, |instance| instance.func_wrap_async(name, function))
}

/// Lets `put` define a function over the existing one.
fn define_over<T: 'static>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
    put: impl FnOnce(&mut LinkerInstance<'_, T>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    check_defined(linker, interface, name)?;
    linker.allow_shadowing(true);
    let replaced = put(&mut linker.instance(interface)?);
    linker.allow_shadowing(false);
    replaced
}

/// Fails if there is nothing to replace.
fn check_defined<T: 'static>(
    linker: &mut Linker<T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let nothing = |_: StoreContextMut<'_, T>, (): ()| Ok(());
    // The linker refuses to define a function twice, unless shadowing is allowed.
    if linker.instance(interface)?.func_wrap(name, nothing).is_ok() {
        wasmtime::bail!("there is no {name} in {interface} to put a gate before");
    }
    Ok(())
}
