//! Functions that take the place of wasmtime's.

use wasmtime::{
    StoreContextMut,
    component::{ComponentNamedList, Lift, Linker, LinkerInstance, Lower},
};

use super::GuestState;

/// Puts a function in the place of wasmtime's. Where that has none by this name, as under
/// another version, guests would be linked past the gate: that is an error.
pub(super) fn replace<P, R>(
    linker: &mut Linker<GuestState>,
    interface: &str,
    name: &str,
    function: impl Fn(StoreContextMut<'_, GuestState>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    define_over(linker, interface, name, |instance| instance.func_wrap(name, function))
}

/// The same of a function that waits.
pub(super) fn replace_async<P, R>(
    linker: &mut Linker<GuestState>,
    interface: &str,
    name: &str,
    function: impl for<'a> Fn(
        StoreContextMut<'a, GuestState>,
        P,
    ) -> Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>
    + Send
    + Sync
    + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    define_over(linker, interface, name, |instance| instance.func_wrap_async(name, function))
}

/// Lets `put` put a function in the place of one that is there.
fn define_over(
    linker: &mut Linker<GuestState>,
    interface: &str,
    name: &str,
    put: impl FnOnce(&mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    check_defined(linker, interface, name)?;
    linker.allow_shadowing(true);
    let replaced = put(&mut linker.instance(interface)?);
    linker.allow_shadowing(false);
    replaced
}

/// Fails where there is nothing to replace.
fn check_defined(
    linker: &mut Linker<GuestState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let nothing = |_: StoreContextMut<'_, GuestState>, (): ()| Ok(());
    // What is there already is refused, unless it may be shadowed.
    if linker.instance(interface)?.func_wrap(name, nothing).is_ok() {
        wasmtime::bail!("there is no {name} in {interface} to put a gate before");
    }
    Ok(())
}
