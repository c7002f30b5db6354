//! How much of this machine an instance may take.

use wasmtime::ResourceLimiter;

use soloist_telemetry::measure::GuestMemoryGauge;

/// The most elements of each table.
const TABLE_ELEMENTS: usize = 20_000;
/// The most resources, such as streams and headers, that an instance holds at once.
pub(crate) const RESOURCES: usize = 4096;
/// The most bytes of the headers that a guest creates for one request or response. [`RESOURCES`] of
/// them take as much host memory as an instance itself has by default.
pub(crate) const HEADERS: usize = 64 << 10;
/// The most bytes that a guest passes to the host in one call.
pub const HOSTCALL: usize = 16 << 20;

/// Counts the memory of an instance. A request beyond the limit is refused; the guest sees that as
/// a machine without more memory.
#[derive(Debug)]
pub struct InstanceLimits {
    /// Its linear memory in bytes, all memories together.
    memory: usize,
    memory_max: usize,
    /// The memory of all instances of its action.
    total: GuestMemoryGauge,
}

impl InstanceLimits {
    /// Allows `memory_max` bytes at most, and counts them in `total`.
    pub fn new(memory_max: usize, total: GuestMemoryGauge) -> Self {
        Self { memory: 0, memory_max, total }
    }
}

impl ResourceLimiter for InstanceLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        let granted = memory <= self.memory_max;
        if granted {
            self.total.grow(memory - self.memory);
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

impl Drop for InstanceLimits {
    fn drop(&mut self) {
        self.total.shrink(self.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        const MEMORY: usize = 2 << 20;
        let mut limits = InstanceLimits::new(MEMORY, GuestMemoryGauge::of(&"a".into()));
        assert!(limits.memory_growing(0, MEMORY / 2, None).unwrap());
        assert!(!limits.memory_growing(0, MEMORY / 2 + 1, None).unwrap());
        assert!(limits.memory_growing(MEMORY / 2, MEMORY, None).unwrap());
        assert!(!limits.memory_growing(MEMORY, usize::MAX, None).unwrap());
    }
}
