//! What the observer has seen last, for those who wait.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;

use super::fault::PostgresFault;
use crate::{Roster, StoreError};
use soloist_heart::LeaseId;
use soloist_text::with_causes;

/// What was seen last.
#[derive(Clone, Default)]
pub(super) enum LastLook {
    /// Nobody has looked yet.
    #[default]
    None,
    Seen(Arc<SeenCluster>),
    /// Looking has failed.
    Failed(Arc<FailedLook>),
}

/// The cluster as it was at one moment.
pub(super) struct SeenCluster {
    pub(super) roster: Roster,
    pub(super) leases: BTreeSet<LeaseId>,
    pub(super) queue_revision: i64,
    /// When the look began: it shows all that was written before.
    pub(super) began: Instant,
}

/// Why a look has failed.
pub(super) struct FailedLook {
    text: String,
    refused: bool,
}

impl FailedLook {
    pub(super) fn new(fault: PostgresFault, store: &str) -> Self {
        let error = fault.into_error("look at the cluster", store);
        let refused = matches!(error, StoreError::Refused { .. });
        let text = match &error {
            StoreError::Unavailable { source, .. } => with_causes(&**source),
            other => with_causes(other),
        };
        Self { text, refused }
    }

    /// What went wrong.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether waiting does not help.
    pub(super) const fn is_refusal(&self) -> bool {
        self.refused
    }

    /// The same for somebody who waits.
    pub(super) fn fault(&self) -> PostgresFault {
        if self.refused {
            PostgresFault::refused(self.text.clone())
        } else {
            PostgresFault::Told(self.text.clone())
        }
    }
}
