//! The settings of one action.

use super::*;

#[test]
fn an_action_takes_what_its_table_says_and_leaves_the_rest_to_defaults() {
    let folder = folder("[action.site]\nplugin = \"web.wasm\"\ngroup = \"front\"\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, site] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert_eq!((&*report.name, report.group.as_str()), ("report", "main"));
    assert_eq!((&*site.name, site.group.as_str()), ("site", "front"));
    assert_eq!(site.plugin, folder.path().join("plugins/web.wasm"));
    assert_eq!(site.listen.to_string(), "127.0.0.1:3000");
}

#[test]
fn instances_are_fresh_unless_they_are_to_be_reused() {
    let folder = folder("[action.web]\ninstances = \"reuse\"\nmax_reuse = 7\n");
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert_eq!(report.instances, InstancePolicy::Fresh);
    assert_eq!(
        web.instances,
        InstancePolicy::Reuse(ReuseLimits { max: 7, idle: Duration::from_secs(10) })
    );
}

#[test]
fn grants_are_read_and_nothing_is_granted_unasked() {
    let folder = folder(
        "[action.web]\nstate = true\ntasks = [\"resize\"]\noutbound = [\"https://a.example\"]\n\
         outbound_private = true\noutbound_fencing_token = false\nsockets = [\"tcp://[::1]:5432\"]\n\
         mounts = [{ source = \"plugins\", target = \"/data/\", read_only = false }]\n\
         args = [\"-v\"]\nenv = { A = \"b\" }\nsecrets = { KEY = \"file:key\" }\n\
         config = { \"any key\" = \"c\" }\n",
    );
    fs::write(folder.path().join("key"), "s3cret\n").unwrap();
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    let written_in = folder.path().join("plugins/report.toml").display().to_string().into();
    let nothing = Grants { written_in, ..Grants::default() };
    assert_eq!((&report.limits, &*report.grants), (&Limits::default(), &nothing));
    let granted = Grants {
        written_in: "[action.web]".into(),
        state: true,
        tasks: vec!["resize".to_owned()],
        outbound: web.grants.outbound.clone(),
        outbound_private: true,
        outbound_fencing_token: false,
        mounts: vec![FolderMount {
            source: folder.path().join("plugins"),
            target: "/data".to_owned(),
            read_only: false,
        }],
        sockets: vec!["tcp://[::1]:5432".parse().unwrap()],
        args: vec!["-v".to_owned()],
        env: [("A".to_owned(), "b".to_owned())].into(),
        secrets: [("KEY".to_owned(), Secret::new("s3cret"))].into(),
        config: [("any key".to_owned(), "c".to_owned())].into(),
    };
    assert_eq!(*web.grants, granted);
    assert!(web.grants.outbound[0].names(true, "a.example", 443));
}

#[test]
fn limits_are_read() {
    let folder = folder(
        "[action.web]\nmax_concurrent_requests = 1000\nmax_queued_requests = 0\nresponse_timeout = \"1s\"\n\
         request_timeout = \"2s\"\nhook_timeout = \"5s\"\nmax_body_size = \"1KiB\"\nmax_memory = \"1GiB\"\nmax_busy_instances = 1\nmax_log_rate = \"1MiB/s\"\nmax_state_size = \"1GiB\"\n\
         [action.report]\nrestart = \"on-failure\"\nrequest_timeout = \"3s\"\n",
    );
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    let seconds = std::time::Duration::from_secs;
    let limits = Limits {
        max_concurrent_requests: 1000,
        max_queued_requests: 0,
        response_timeout: seconds(1),
        request_timeout: seconds(2),
        hook_timeout: seconds(5),
        max_body_size: 1024,
        max_memory: MEMORY_MAX,
        max_busy_instances: std::num::NonZeroUsize::new(1),
        max_log_rate: 1 << 20,
        max_state_size: 1 << 30,
    };
    assert_eq!((&web.limits, web.restart), (&limits, None));
    assert_eq!(report.restart, Some(RestartPolicy::OnFailure));
    // The default is longer than the whole time of a request.
    assert_eq!(report.limits.response_timeout, seconds(3));
}

#[test]
fn who_is_believed_about_requests_and_whether_they_are_logged_is_read() {
    let text = "[action.web]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\naccess_log = true\n\
                [action.report]\n";
    let folder = folder(text);
    let config = load(folder.path(), &Overrides::default()).unwrap();
    let [report, web] = &config.actions[..] else { panic!("{:?}", config.actions) };
    assert!(web.access_log && web.trusted_proxies[0].contains([10, 1, 2, 3].into()));
    assert!(!report.access_log && report.trusted_proxies.is_empty());
    let wrong =
        refusal("[action.web]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", &Overrides::default());
    assert!(wrong.contains("10.0.0.0/33") && wrong.contains("0 to 32"), "{wrong}");
}

#[test]
fn a_folder_with_a_named_pipe_is_refused() {
    let folder = folder("[action.web]\nmounts = [{ source = \"plugins\", target = \"/data\" }]\n");
    let pipe = folder.path().join("plugins/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let message = load(folder.path(), &Overrides::default()).unwrap_err().to_string();
    assert!(message.contains("`pipe` in the folder `plugins` is a named pipe"), "{message}");
}
