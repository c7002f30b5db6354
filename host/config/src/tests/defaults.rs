//! What is not written is the default, in every part of an action's settings.

use std::{fmt::Debug, path::Path};

use crate::{
    Limits, RelayConfig, RestartLimit, TaskConfig, limits, relay_config,
    resolver::Resolver,
    restart_limit,
    settings_file::{ActionTable, SourceFile},
    task,
};

fn check<T: Default + Debug + PartialEq>(read: fn(&mut Resolver<'_>, &ActionTable) -> Option<T>) {
    let source = SourceFile::empty(Path::new(""));
    assert_eq!(read(&mut Resolver::new(&source), &ActionTable::default()), Some(T::default()));
}

#[test]
fn an_empty_table_is_all_defaults() {
    check::<Limits>(limits::read);
    check::<RelayConfig>(relay_config::read);
    check::<RestartLimit>(restart_limit::read);
    check::<TaskConfig>(task::read);
}
