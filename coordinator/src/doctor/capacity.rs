//! Room: disks, limits on parts, the pool that merges them.

use clickhouse::Row;
use longshore_shared::clickhouse::{Failure, Server, retry_idempotent};
use longshore_shared::schema::GraphTable;
use longshore_shared::sql;
use longshore_shared::task::TableName;
use serde::Deserialize;

use super::Finding;
use crate::ui::text;

const DISK: &str = "disk";
const PARTS: &str = "parts";
const MERGES: &str = "merges";

/// Below these shares of a disk a load may fill it, or is about to.
const FREE_WARNING: f64 = 0.10;
const FREE_PROBLEM: f64 = 0.03;

#[derive(Deserialize, Row)]
struct Disk {
    name: String,
    path: String,
    free: u64,
    total: u64,
}

#[derive(Deserialize, Row)]
struct Pool {
    busy: u64,
    size: u64,
}

/// Limits on the parts of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Row)]
struct Limits {
    delay: u64,
    throw: u64,
    total: u64,
}

/// Parts of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Row)]
struct Parts {
    all: u64,
    partitions: u64,
    fullest: u64,
}

/// Room on the server's disks.
pub(crate) async fn disks(server: &Server) -> Result<Vec<Finding>, Failure> {
    let disks: Vec<Disk> = retry_idempotent(|| server.call(sql::LIST_DISKS).fetch_all()).await?;
    Ok(disks.iter().map(disk).collect())
}

fn disk(disk: &Disk) -> Finding {
    let (free, total) = (text::bytes(disk.free), text::bytes(disk.total));
    // Object storage says that it has no end, or nothing.
    let share = if disk.total == 0 { 1.0 } else { disk.free as f64 / disk.total as f64 };
    let message = format!("{free} of {total} free on disk `{}`", disk.name);
    let remedy = format!(
        "make room in {} before a load: it keeps each chunk twice for some minutes",
        disk.path
    );
    let found = if share < FREE_PROBLEM {
        Finding::problem(DISK, message, remedy)
    } else if share < FREE_WARNING {
        Finding::warning(DISK, message, remedy)
    } else {
        Finding::ok(DISK, message)
    };
    found.about(&disk.name)
}

/// How busy the merging pool is.
pub(crate) async fn merges(server: &Server) -> Result<Vec<Finding>, Failure> {
    let pool: Pool = retry_idempotent(|| server.call(sql::MERGE_POOL).fetch_one()).await?;
    let message = format!("{} of {} merge slots are busy", pool.busy, pool.size);
    let is_full = pool.size > 0 && pool.busy >= pool.size;
    let remedy =
        "wait for merges to end, or raise background_pool_size: published parts pile up meanwhile";
    let found = if is_full {
        Finding::warning(MERGES, message, remedy)
    } else {
        Finding::ok(MERGES, message)
    };
    Ok(vec![found])
}

/// Parts of a target against its limits.
pub(crate) async fn parts(server: &Server, table: &GraphTable) -> Result<Vec<Finding>, Failure> {
    if !table.keeps_rows() {
        return Ok(Vec::new());
    }
    let name = &table.name;
    let limits: Limits = retry_idempotent(|| server.call(sql::PARTS_LIMITS).fetch_one()).await?;
    let there: Parts = retry_idempotent(|| {
        server
            .call(sql::TABLE_PARTS)
            .param("database", &name.database)
            .param("table", &name.table)
            .fetch_one()
    })
    .await?;
    Ok(vec![judge(name, there, limits.own(&table.definition))])
}

impl Limits {
    /// With what the table's own settings say.
    fn own(self, definition: &str) -> Self {
        let own = |setting: &str, server: u64| {
            let rest = definition.split(&format!("{setting} = ")).nth(1);
            let digits = rest.map(|rest| rest.chars().take_while(char::is_ascii_digit));
            digits.and_then(|digits| digits.collect::<String>().parse().ok()).unwrap_or(server)
        };
        Self {
            delay: own("parts_to_delay_insert", self.delay),
            throw: own("parts_to_throw_insert", self.throw),
            total: own("max_parts_in_total", self.total),
        }
    }
}

fn judge(name: &TableName, there: Parts, limits: Limits) -> Finding {
    let message = format!(
        "{name} has {} in {}, {} in the fullest; inserts slow down at {} and stop at {} in one partition, {} in all",
        text::plural(there.all, "part"),
        text::plural(there.partitions, "partition"),
        text::count(there.fullest),
        text::count(limits.delay),
        text::count(limits.throw),
        text::count(limits.total),
    );
    let above =
        |limit: u64, share: u64| limit > 0 && there.fullest.saturating_mul(100) >= limit * share;
    let of_all =
        |share: u64| limits.total > 0 && there.all.saturating_mul(100) >= limits.total * share;
    let remedy = "let merges catch up before more is loaded; larger chunks (plan files --chunk-bytes) make fewer parts";
    let found = if above(limits.throw, 90) || of_all(90) {
        Finding::problem(PARTS, message, remedy)
    } else if above(limits.delay, 80) || of_all(50) {
        Finding::warning(PARTS, message, remedy)
    } else {
        Finding::ok(PARTS, message)
    };
    found.about(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn parts_near_a_limit_are_told() {
        let limits = Limits { delay: 1_000, throw: 3_000, total: 100_000 };
        let level = |all, fullest| {
            let name = "db.t".parse().unwrap();
            judge(&name, Parts { all, partitions: 10, fullest }, limits).level
        };
        assert_eq!(level(5_000, 700), Level::Ok);
        assert_eq!(level(5_000, 800), Level::Warning);
        assert_eq!(level(5_000, 2_700), Level::Problem);
        assert_eq!(level(50_000, 1), Level::Warning);
        assert_eq!(level(95_000, 1), Level::Problem);
    }

    #[test]
    fn a_tables_own_limits_count() {
        let limits = Limits { delay: 1, throw: 2, total: 3 };
        let own = limits.own("ENGINE = MergeTree SETTINGS parts_to_throw_insert = 77, x = 1");
        assert_eq!(own, Limits { delay: 1, throw: 77, total: 3 });
    }

    #[test]
    fn a_full_disk_is_told() {
        let level =
            |free, total| disk(&Disk { name: "d".into(), path: "/d".into(), free, total }).level;
        assert_eq!(level(50, 100), Level::Ok);
        assert_eq!(level(9, 100), Level::Warning);
        assert_eq!(level(2, 100), Level::Problem);
        assert_eq!(level(0, 0), Level::Ok);
    }
}
