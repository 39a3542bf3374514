//! Bugs that can be planted, to show that the tests would see them.
//!
//! Each is a mistake that a loader of this kind can make, or that another one made. In a build
//! without the feature `faults` every question is answered `false` at compile time. With it,
//! `LONGSHORE_PLANT=name` plants one; `scripts/planted-bugs` plants them all, one after the other.

/// A mistake in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A take-over does not fence the epochs before it.
    SkipFence,
    /// What is still staged is moved again without looking for it in the target.
    MoveBlindly,
    /// A compare-and-set that answers OK is taken for won.
    TrustOk,
    /// A compare-and-set that answers an error is taken for lost.
    TrustError,
    /// Parts are known by the hash of their content, as a set.
    HashesAsSet,
    /// A key with special characters is read by its pattern alone.
    DropPathFilter,
    /// Leases are judged by the clock of the worker.
    LocalClock,
    /// A part counts as published when the target lists it, rolled back or not.
    RemainsArePublished,
    /// A staging table that is empty or gone is taken for published.
    EmptyIsProof,
    /// If one staged part is in the target, all of its partition count as moved.
    OnePartForAll,
    /// A load whose answer is lost is sent again into the same staging set.
    ResendLoad,
    /// A load whose answer is lost is taken for finished, and nothing is counted.
    TrustLoad,
    /// Files are not compared with the plan.
    SkipPins,
    /// Task rows that another planner left are kept, wherever it cut the table.
    MixCuts,
    /// A command that was cut while it changed tasks is not carried out by the next one.
    ForgetWish,
    /// A command that lags behind another changes tasks that were done again since.
    LagBlindly,
    /// What a task was about to move is not written down before its first MOVE.
    ForgetManifest,
    /// An empty staging table is a proof once the server may have forgotten the parts.
    OldIsProof,
    /// Staging tables of a task that may have moved rows are swept like others.
    SweepEvidence,
    /// A job is closed whatever became of it since it was looked at.
    CloseBlindly,
    /// Who answers at the address of a server is asked once.
    TrustAddress,
    /// Whatever keeps a load from its end uses an attempt up.
    CountOutages,
    /// A job is completed without the closing audit.
    SkipAudit,
    /// Target and views are not compared with the plan.
    SkipDrift,
    /// The views of the target are not cloned.
    SkipViews,
    /// Only the first table of the manifest is published.
    FirstTableOnly,
    /// A task is taken over whether its owner's lease has lapsed or not.
    IgnoreLease,
    /// A failed publishing gives its staging set up.
    DropOnFailure,
    /// A take-over does not rename the shadow, so a late EXCHANGE finds it.
    ExchangeUnfenced,
    /// A partition counts as replaced when parts of the shadow are in it.
    ReplaceOnce,
    /// What is loaded is published though some tasks failed.
    PublishPartly,
    /// Bounds of a piece of a table compare expressions of the SELECT that have a column's name.
    AliasesFirst,
    /// A piece of a table includes the first key of the next one.
    BoundsOverlap,
    /// A column is read in the type that the file has, and the INSERT converts it.
    TypesOfTheFile,
    /// The columns of all files are those of the first.
    ColumnsOfTheFirst,
    /// Settings of the user do not reach the count of a source.
    CountWithDefaults,
    /// A part that is on the disk of a replica is published, whether Keeper knows it or not.
    TrustDisk,
    /// A file that answers "not found" is left out, of the load and of the count alike.
    SkipFiles,
    /// `gc` drops a table under a shadow's name of an unknown job whatever is in it.
    DropFullShadows,
    /// A command looks at a task on the server that it was given, not on that of the task.
    LookAtHome,
    /// A person's word that a task is done is taken while rows of it are staged only.
    AcceptUnmoved,
    /// Partitions of a table that takes its own place stay when nothing was loaded for them.
    LeavePartitions,
    /// Mutations and lightweight updates that are not finished are not looked for.
    SkipUnfinished,
    /// The receipts of a durable job are written before what they prove is synced.
    ReceiptBeforeSync,
    /// What the closing audit saw counts, although a server was started again since.
    AuditBeforeRestart,
    /// What a merged part covers by its name is taken for being in it.
    CoverIsProof,
    /// A server that was just started is asked for parts before it lists all of them.
    AskEarly,
    /// What was decided first about a quarantined task counts, whatever is decided later.
    KeepDecision,
    /// The staging set of an attempt that ends badly is dropped, whatever has become of its parts.
    DropEvidence,
    /// A shadow takes the place of its target, whatever it has lost since it was filled.
    ReplaceBlindly,
    /// The closing audit is made once more without a word of a person.
    AuditUnasked,
    /// Clones of views that are there after a load are taken for having fired, although the server was started again.
    TrustClones,
    /// Loads go on, however busy the server is.
    LoadOn,
    /// More tasks are loaded at the same time than a person allows.
    IgnoreLimit,
}

impl Bug {
    /// Every bug with its name.
    pub const ALL: &[(Self, &str)] = &[
        (Self::SkipFence, "skip-fence"),
        (Self::MoveBlindly, "move-blindly"),
        (Self::TrustOk, "trust-ok"),
        (Self::TrustError, "trust-error"),
        (Self::HashesAsSet, "hashes-as-set"),
        (Self::DropPathFilter, "drop-path-filter"),
        (Self::LocalClock, "local-clock"),
        (Self::RemainsArePublished, "remains-are-published"),
        (Self::EmptyIsProof, "empty-is-proof"),
        (Self::OnePartForAll, "one-part-for-all"),
        (Self::ResendLoad, "resend-load"),
        (Self::TrustLoad, "trust-load"),
        (Self::SkipPins, "skip-pins"),
        (Self::MixCuts, "mix-cuts"),
        (Self::ForgetWish, "forget-wish"),
        (Self::LagBlindly, "lag-blindly"),
        (Self::ForgetManifest, "forget-manifest"),
        (Self::OldIsProof, "old-is-proof"),
        (Self::SweepEvidence, "sweep-evidence"),
        (Self::CloseBlindly, "close-blindly"),
        (Self::TrustAddress, "trust-address"),
        (Self::CountOutages, "count-outages"),
        (Self::SkipAudit, "skip-audit"),
        (Self::SkipDrift, "skip-drift"),
        (Self::SkipViews, "skip-views"),
        (Self::FirstTableOnly, "first-table-only"),
        (Self::IgnoreLease, "ignore-lease"),
        (Self::DropOnFailure, "drop-on-failure"),
        (Self::ExchangeUnfenced, "exchange-unfenced"),
        (Self::ReplaceOnce, "replace-once"),
        (Self::PublishPartly, "publish-partly"),
        (Self::AliasesFirst, "aliases-first"),
        (Self::BoundsOverlap, "bounds-overlap"),
        (Self::TypesOfTheFile, "types-of-the-file"),
        (Self::ColumnsOfTheFirst, "columns-of-the-first"),
        (Self::CountWithDefaults, "count-with-defaults"),
        (Self::TrustDisk, "trust-disk"),
        (Self::SkipFiles, "skip-files"),
        (Self::DropFullShadows, "drop-full-shadows"),
        (Self::LookAtHome, "look-at-home"),
        (Self::AcceptUnmoved, "accept-unmoved"),
        (Self::LeavePartitions, "leave-partitions"),
        (Self::SkipUnfinished, "skip-unfinished"),
        (Self::ReceiptBeforeSync, "receipt-before-sync"),
        (Self::AuditBeforeRestart, "audit-before-restart"),
        (Self::CoverIsProof, "cover-is-proof"),
        (Self::AskEarly, "ask-early"),
        (Self::KeepDecision, "keep-decision"),
        (Self::DropEvidence, "drop-evidence"),
        (Self::ReplaceBlindly, "replace-blindly"),
        (Self::AuditUnasked, "audit-unasked"),
        (Self::TrustClones, "trust-clones"),
        (Self::LoadOn, "load-on"),
        (Self::IgnoreLimit, "ignore-limit"),
    ];
}

/// Is this bug planted? Never in a build without the feature `faults`.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    #[cfg(feature = "faults")]
    return armed::chosen() == Some(bug);
    #[cfg(not(feature = "faults"))]
    {
        let _ = bug;
        false
    }
}

#[cfg(feature = "faults")]
mod armed {
    use std::sync::OnceLock;

    use super::Bug;

    /// What `LONGSHORE_PLANT` names. A name that nobody knows must not pass for a healthy build.
    pub(super) fn chosen() -> Option<Bug> {
        static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let name = std::env::var("LONGSHORE_PLANT").ok().filter(|name| !name.is_empty())?;
            let known = Bug::ALL.iter().find(|(_, known)| *known == name);
            let Some((bug, _)) = known else {
                eprintln!("LONGSHORE_PLANT: no bug is called {name}");
                std::process::exit(2);
            };
            eprintln!("LONGSHORE_PLANT: this program runs with the bug {name}");
            Some(*bug)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bug, planted};

    #[test]
    fn nothing_is_planted_unless_asked_for() {
        assert!(std::env::var_os("LONGSHORE_PLANT").is_none());
        assert!(Bug::ALL.iter().all(|(bug, _)| !planted(*bug)));
    }
}
