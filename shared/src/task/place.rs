//! Which server of its job a task belongs to, and where it is worked on.

use super::{JobServer, JobSpec, TaskId};

/// Where a task must be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// On the worker's own server.
    Home,
    /// On this server of the job, wherever the worker is at home.
    On(&'a JobServer),
    /// Not by this worker: its server is not the one that the plan was made on.
    Elsewhere(&'a JobServer),
}

impl JobSpec {
    /// Number of the server that a task loads into. Tasks are dealt out in turn.
    pub fn shard(&self, task: &TaskId) -> usize {
        task.ordinal as usize % self.servers.len().max(1)
    }

    /// Does it load into several servers?
    pub fn is_sharded(&self) -> bool {
        self.servers.len() > 1
    }

    /// Tasks that each chunk becomes.
    pub fn copies(&self) -> usize {
        if self.shard_by.is_some() { self.servers.len().max(1) } else { 1 }
    }

    /// The server of a task, when the job names several.
    pub fn server(&self, task: &TaskId) -> Option<&JobServer> {
        self.is_sharded().then(|| &self.servers[self.shard(task)])
    }

    /// Where a worker that is at home on the server with this UUID works on a task.
    pub fn place(&self, task: &TaskId, home_uuid: &str) -> Place<'_> {
        match self.servers.as_slice() {
            // A plan of an earlier version.
            [] => Place::Home,
            [only] if only.uuid == home_uuid => Place::Home,
            // Any replica shows the tables, but staging tables and receipts are on this one.
            [only] if self.graph.is_replicated() => Place::On(only),
            [only] => Place::Elsewhere(only),
            several => match &several[self.shard(task)] {
                server if server.uuid == home_uuid => Place::Home,
                server => Place::On(server),
            },
        }
    }

    /// The spec as the tasks of one server see it.
    #[must_use]
    pub fn on(&self, shard: usize) -> Self {
        let graph = self.servers.get(shard).and_then(|server| server.graph.as_ref());
        let mut spec = self.clone();
        if let Some(graph) = graph {
            spec.graph = graph.clone();
        }
        if let Some(by) = &mut spec.shard_by {
            by.shard = Some((shard, self.servers.len()));
        }
        spec
    }

    /// Binds a plan to another environment and, when it names one server only, to that server.
    pub fn rebind(&mut self, environment: &str, url: &str, server_uuid: &str) {
        environment.clone_into(&mut self.environment);
        if let [only] = self.servers.as_mut_slice() {
            url.clone_into(&mut only.url);
            server_uuid.clone_into(&mut only.uuid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    fn spec(servers: &[(&str, &str)]) -> JobSpec {
        let server = |(url, uuid): &(&str, &str)| JobServer {
            url: (*url).to_owned(),
            uuid: (*uuid).to_owned(),
            graph: None,
        };
        JobSpec { servers: servers.iter().map(server).collect(), ..conformance::job(4).spec }
    }

    fn task(ordinal: u32) -> TaskId {
        TaskId { job: "0123456789abcdef".parse().unwrap(), ordinal }
    }

    #[test]
    fn a_job_of_one_server_is_left_alone_by_workers_of_others() {
        let spec = spec(&[("http://a", "A")]);
        assert_eq!(spec.place(&task(1), "A"), Place::Home);
        assert_eq!(spec.place(&task(1), "B"), Place::Elsewhere(&spec.servers[0]));
        assert_eq!(self::spec(&[]).place(&task(1), "B"), Place::Home);
    }

    #[test]
    fn workers_of_other_replicas_work_on_the_replica_of_the_plan() {
        let mut spec = spec(&[("http://a", "A")]);
        "ReplicatedMergeTree".clone_into(&mut spec.graph.tables[0].engine);
        assert_eq!(spec.place(&task(1), "A"), Place::Home);
        assert_eq!(spec.place(&task(1), "B"), Place::On(&spec.servers[0]));
        let mut plain = spec.graph.tables[0].clone();
        "MergeTree".clone_into(&mut plain.engine);
        spec.graph.tables.push(plain);
        assert!(matches!(spec.place(&task(1), "B"), Place::Elsewhere(_)));
    }

    #[test]
    fn tasks_are_dealt_out_in_turn_and_every_worker_may_take_each() {
        let spec = spec(&[("http://a", "A"), ("http://b", "B")]);
        assert_eq!(spec.place(&task(0), "A"), Place::Home);
        assert_eq!(spec.place(&task(1), "A"), Place::On(&spec.servers[1]));
        assert_eq!(spec.place(&task(2), "C"), Place::On(&spec.servers[0]));
        assert_eq!([0, 1, 2, 3].map(|at| spec.shard(&task(at))), [0, 1, 0, 1]);
    }

    #[test]
    fn a_task_sees_the_tables_of_its_server() {
        let mut spec = spec(&[("http://a", "A"), ("http://b", "B")]);
        let mut there = spec.graph.clone();
        there.tables[0].uuid = Some(uuid::Uuid::from_u128(1));
        spec.servers[1].graph = Some(there.clone());
        assert_eq!(spec.on(0).graph, spec.graph);
        assert_eq!(spec.on(1).graph, there);
    }

    #[test]
    fn a_plan_of_several_servers_is_bound_to_them_wherever_it_goes() {
        let mut one = spec(&[("http://a", "A")]);
        one.rebind("new", "http://z", "Z");
        assert_eq!((one.environment.as_str(), one.servers[0].uuid.as_str()), ("new", "Z"));
        let mut two = spec(&[("http://a", "A"), ("http://b", "B")]);
        let servers = two.servers.clone();
        two.rebind("new", "http://z", "Z");
        assert_eq!((two.environment.as_str(), two.servers), ("new", servers));
    }
}
