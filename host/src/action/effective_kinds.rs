//! The kinds an action runs as: those that its plugin exports, narrowed by its settings.

use std::sync::Arc;

use super::prepare_error::PrepareError;
use soloist_config::ActionConfig;
use soloist_guests::plugin::Kinds;

/// The kinds under `config` of a plugin that could run as all of `offered`.
pub(super) fn effective_kinds(
    config: &ActionConfig,
    offered: &Kinds,
) -> Result<Kinds, PrepareError> {
    let action = || Arc::clone(&config.name);
    let offered = match config.job {
        Some(_) => {
            offered.as_scheduled().ok_or_else(|| PrepareError::NoProgram { action: action() })?
        }
        None => offered.clone(),
    };
    let Some(wanted) = &config.kinds else { return Ok(offered.by_default()) };
    match wanted.iter().find(|kind| !offered.has(*kind)) {
        Some(kind) => Err(PrepareError::NotOffered { action: action(), kind, offered }),
        None => Ok(wanted.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use soloist_config::{CatchUpPolicy, JobConfig, OverlapPolicy, Schedule};
    use soloist_guests::plugin::Kind::{self, Hooks, Http, Job, Service, Task};

    fn of(wanted: Option<&[Kind]>, scheduled: bool, offered: &[Kind]) -> Result<String, String> {
        let job = scheduled.then(|| JobConfig {
            schedule: Schedule::OnDemand,
            jitter: std::time::Duration::ZERO,
            catch_up: CatchUpPolicy::Skip,
            overlap: OverlapPolicy::Forbid,
            run_timeout: std::time::Duration::from_secs(1),
            max_attempts: 1,
        });
        let kinds_of = |kinds: &[Kind]| kinds.iter().copied().collect::<Kinds>();
        let config = ActionConfig {
            kinds: wanted.map(kinds_of),
            job,
            ..ActionConfig::with_defaults("web", PathBuf::new())
        };
        let kinds =
            effective_kinds(&config, &kinds_of(offered)).map_err(|error| error.to_string())?;
        Ok(kinds.to_string())
    }

    #[test]
    fn settings_narrow_what_a_plugin_can_be() {
        assert_eq!(of(None, false, &[Http, Service, Task]).unwrap(), "http+task");
        assert_eq!(of(None, true, &[Http, Service]).unwrap(), "http+job");
        assert_eq!(of(Some(&[Http, Service]), false, &[Http, Service]).unwrap(), "http+service");
        assert_eq!(of(Some(&[Service]), false, &[Http, Service, Hooks]).unwrap(), "service");
        assert_eq!(of(Some(&[Job]), true, &[Http, Service]).unwrap(), "job");
        assert_eq!(of(None, false, &[Service, Hooks]).unwrap(), "service+hooks");
    }

    #[test]
    fn what_a_plugin_cannot_be_is_refused() {
        let refused = of(Some(&[Http, Task]), false, &[Http]).unwrap_err();
        assert!(refused.contains("to be run as task") && refused.contains("as http"), "{refused}");
        assert!(of(None, true, &[Http]).unwrap_err().contains("no program to run"));
    }
}
