//! Which grants of a role the current user lacks, asked of the server one by one (`CHECK GRANT`).

use longshore_shared::clickhouse::{Failure, Server};

use super::{Finding, Level};
use crate::grants::list::{Grant, Role, Scope, grants};
use crate::grants::may::{NO_CHECK_GRANT, has};

const CHECK: &str = "grants";

/// What each role lacks. `None` looks at both roles that a load needs: one may be another user's.
pub(crate) async fn check(
    server: &Server,
    scope: &Scope,
    wanted: Option<Role>,
) -> Result<Vec<Finding>, Failure> {
    let user = &server.connection().user;
    let roles = wanted.map_or_else(|| vec![Role::Planner, Role::Worker], |role| vec![role]);
    let mut looks = Vec::with_capacity(roles.len());
    for role in roles {
        match missing(server, &grants(role, scope)).await {
            Ok(lacks) => looks.push((role, lacks)),
            Err(failure) if failure.code() == Some(NO_CHECK_GRANT) => {
                let message = "not checked: this server has no CHECK GRANT";
                let remedy = "compare them yourself: longshore doctor --grants, and SHOW GRANTS";
                return Ok(vec![Finding::warning(CHECK, message, remedy)]);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(judge(user, &looks))
}

fn judge(user: &str, looks: &[(Role, Vec<Grant>)]) -> Vec<Finding> {
    let one_is_whole = looks.iter().any(|(_, lacks)| lacks.is_empty());
    let finding = |(role, lacks): &(Role, Vec<Grant>)| {
        let role = role.as_str();
        if lacks.is_empty() {
            let message = format!("user `{user}` has every grant of a {role}");
            return Finding::ok(CHECK, message).about(role);
        }
        let count = crate::ui::text::plural(lacks.len() as u64, "grant");
        let message = format!("user `{user}` lacks {count} of a {role}");
        let statements: Vec<String> = lacks.iter().map(|grant| grant.statement(user)).collect();
        let remedy = statements.join("\n");
        let level = if one_is_whole { Level::Warning } else { Level::Problem };
        Finding { level, ..Finding::problem(CHECK, message, remedy).about(role) }
    };
    looks.iter().map(finding).collect()
}

/// The grants that are not there, each cut down to what is missing of it.
async fn missing(server: &Server, wanted: &[Grant]) -> Result<Vec<Grant>, Failure> {
    let mut lacks = Vec::new();
    for grant in wanted {
        if has(server, &grant.privileges, &grant.on).await? {
            continue;
        }
        let mut privileges = Vec::new();
        for privilege in grant.privileges.split(", ") {
            if !has(server, privilege, &grant.on).await? {
                privileges.push(privilege);
            }
        }
        lacks.push(Grant { privileges: privileges.join(", "), ..grant.clone() });
    }
    Ok(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_users_role_is_a_warning_only() {
        let grant = Grant { privileges: "SELECT".into(), on: "system.parts".into(), why: "" };
        let levels = |looks: &[(Role, Vec<Grant>)]| -> Vec<Level> {
            judge("u", looks).iter().map(|finding| finding.level).collect()
        };
        let lacks = vec![grant];
        assert_eq!(
            levels(&[(Role::Planner, Vec::new()), (Role::Worker, lacks.clone())]),
            [Level::Ok, Level::Warning]
        );
        assert_eq!(levels(&[(Role::Worker, lacks.clone())]), [Level::Problem]);
        let told = judge("u", &[(Role::Worker, lacks)]);
        assert_eq!(told[0].remedy.as_deref(), Some("GRANT SELECT ON system.parts TO u;"));
    }
}
