//! `docs/reference/openapi.json` and `docs/reference/http-api.md`, from the routes of the control
//! API.

use anyhow::Result;

use super::bless;

pub(super) fn write() -> Result<()> {
    bless("soloist", "the_reference_is_what_is_routed")
}
