//! The list of routes that `GET /` answers to clients other than browsers.

/// Each line has the methods of a route, its path, and what it is for. Parameters of a path are in
/// capitals.
pub(super) const INDEX: &str = "\
soloist: many hosts stand by, exactly one performs.

GET /                    the dashboard, for browsers; this list, for other clients

GET /v1/status           the cluster as this host sees it, as JSON; `soloist status` prints it
GET /v1/events           the same and every transition, as they change, as server-sent events
GET /metrics             measurements of this host, for Prometheus
GET /livez               200 as long as the process serves
GET /readyz              200 when plugins are prepared and the session in the store is live
GET /v1/clock            the time of this host's clock; hosts compare theirs
GET /v1/openapi.json     all routes, for programs (OpenAPI 3.1)

GET /v1/logs/ACTION      what an action printed lately; ?lines=N&follow=true&host=HOST&format=json; `soloist logs` does the same

GET, PUT, DELETE /v1/state/ACTION       GET: the keys of an action's state, as JSON; ?after=KEY&limit=N; DELETE: all of them, with ?all=true; with ?key=KEY the same as the next
GET, PUT, DELETE /v1/state/ACTION/KEY   one value, unchanged; `soloist state` does the same

GET /v1/jobs             the jobs of this host, as JSON, each with its next and last run
GET /v1/jobs/NAME        the recorded runs of a job
GET /v1/jobs/NAME/next   its next runs, and what happens to them when the clocks change; ?count=N&time_zone=ZONE
POST /v1/jobs/NAME/run   runs it now; with ?wait=true the answer follows when the run has ended; `soloist job run` does the same

POST /v1/switchover      the leader of {\"group\"} hands over to the host {\"to\"}, or to the next in line
POST /v1/pause           no change of leadership in {\"group\"}, or in all groups; {\"keep_failover\": true}: none by preference
POST /v1/resume          ends a pause
POST /v1/drain           the host {\"host\"}, or this one, gives up all leaderships and no longer stands for election
POST /v1/undrain         ends a drain
POST /v1/remove          forgets {\"host\"}; {\"force\": true}: a host that is alive leaves the cluster and cannot join again
POST /v1/admit           lets {\"host\"} join again
Each takes JSON with {\"by\"} and {\"reason\"}; `soloist switchover`, `pause`, `drain`, `remove` do the same.

GET /v1/tasks            the tasks, and the hosts that take calls of each, as JSON
POST /v1/tasks/TASK      calls a task with the body; ?timeout=5s&max_attempts=3; `soloist task call` does the same
POST /v1/tasks/TASK/queue                   stores a call until it is done; `soloist task enqueue` does the same
GET /v1/tasks/TASK/queue/ID                 the state of a queued call
GET /v1/tasks/TASK/queue/ID/result          the result of a queued call
GET, DELETE /v1/tasks/TASK/dead-letters     the queued calls that have failed for good
GET, DELETE /v1/tasks/TASK/dead-letters/ID  one of them
POST /v1/tasks/TASK/dead-letters/retry      puts all of them into the queue again
POST /v1/tasks/TASK/dead-letters/ID/retry   puts one of them into the queue again

/leader/ACTION/PATH      what the leader's action answers at /PATH, from any host
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::{
        AccessControl,
        server::{
            all_routes,
            tests::{fake, idle, services},
        },
    };

    /// The routes that [`INDEX`] lists, as `METHOD PATH`.
    fn listed() -> BTreeSet<String> {
        let methods = ["GET", "PUT", "POST", "DELETE"];
        let routes = INDEX.lines().flat_map(|line| {
            let mut words = line.split_whitespace();
            let head: Vec<_> = words
                .by_ref()
                .map_while(|word| {
                    methods.iter().find(|method| word.trim_end_matches(',') == **method)
                })
                .collect();
            let path = line.split_whitespace().nth(head.len()).unwrap_or_default();
            head.into_iter().map(move |method| format!("{method} {path}"))
        });
        routes.collect()
    }

    #[tokio::test]
    async fn every_route_is_in_the_index_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let routes = all_routes(services(fake(), folder.path(), AccessControl::open()), idle());
        let routes = routes.listed().map(|(path, method, ..)| {
            // A parameter, such as `{task}`, is in capitals there; `{*key}` is one of several segments.
            let segments = path.split('/').map(|segment| match segment.strip_prefix('{') {
                Some(parameter) => parameter.trim_matches(['*', '}']).to_uppercase(),
                None => segment.to_owned(),
            });
            format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
        });
        // The files of the dashboard are for its page alone.
        let routes: BTreeSet<_> =
            routes.filter(|route| !route.starts_with("GET /dashboard")).collect();
        assert_eq!(listed(), routes);
    }
}
