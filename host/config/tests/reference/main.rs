//! The reference of the settings is what the schema says.

mod page;

#[test]
fn the_page_is_made_from_the_schema() {
    let written = include_str!("../../../../docs/reference/settings.md");
    let made = page::page(&soloist_config::settings_schema());
    let differs = made.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(
        made == written,
        "docs/reference/settings.md is not up to date: run `cargo xtask reference`. The first line \
         that differs: {differs:#?}"
    );
}
