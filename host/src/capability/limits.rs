//! How much of this machine an instance may take.

use wasmtime::ResourceLimiter;

/// The linear memory of an instance, all its memories together. Programs in
/// interpreted languages need some 40 MiB to begin with.
const MEMORY: usize = 256 << 20;
/// The elements of each table.
const TABLE_ELEMENTS: usize = 20_000;
/// The resources, such as streams and headers, that an instance holds at once.
pub(crate) const RESOURCES: usize = 10_000;
/// The bytes that a guest hands to the host in one call.
pub(crate) const HOSTCALL: usize = 16 << 20;

/// Counts what an instance has taken. What exceeds the limit is not granted;
/// the guest sees that as it would see a machine without more memory.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    memory: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        let granted = memory <= MEMORY;
        if granted {
            self.memory = memory;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut limits = Limits::default();
        assert!(limits.memory_growing(0, MEMORY / 2, None).unwrap());
        assert!(!limits.memory_growing(0, MEMORY / 2 + 1, None).unwrap());
        assert!(limits.memory_growing(MEMORY / 2, MEMORY, None).unwrap());
        assert!(!limits.memory_growing(MEMORY, usize::MAX, None).unwrap());
    }
}
