//! Folders that an action may use.

use soloist_config::{FolderMount, Grants};

use crate::rig::{TestStore, prepare_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_what_it_is_granted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("shown/deep")).unwrap();
    std::fs::write(folder.path().join("shown/deep/file"), "content").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", folder.path().join("shown/link")).unwrap();
    for write in [false, true] {
        let shown = FolderMount {
            source: folder.path().join("shown"),
            target: "/data".to_owned(),
            read_only: !write,
        };
        let grants = Grants { mounts: vec![shown], ..Grants::default() };
        let rig = TestStore::new().start(prepare_with("reach", grants)).await;
        assert_eq!(rig.ask("/read?/data/deep/file").await, (200, "content".to_owned()));
        for hidden in ["/data/link", "/data/../secret", "/etc/passwd"] {
            assert_eq!(rig.ask(&format!("/read?{hidden}")).await.0, 502, "{hidden}");
        }
        let status = if write { 200 } else { 502 };
        assert_eq!(rig.ask("/write?/data/new").await.0, status);
        assert_eq!(folder.path().join("shown/new").exists(), write);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_has_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gone = FolderMount {
        source: folder.path().join("gone"),
        target: "/data".to_owned(),
        read_only: true,
    };
    let grants = Grants { mounts: vec![gone], ..Grants::default() };
    let rig = TestStore::new().start(prepare_with("reach", grants)).await;
    assert_eq!(rig.ask("/read?/data/x").await.0, 500);
    let error = rig.action.status().last_error.unwrap();
    assert!(error.contains("cannot open the folder") && error.contains("/gone"), "{error}");
    rig.stop().await;
}
