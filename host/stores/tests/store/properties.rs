//! Generates a test of each property for each store.

/// Generates a test of each property for each store.
macro_rules! properties {
    (mut $module:ident: $($property:ident),+ $(,)?) => {
        mod on_etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::$module::$property(&mut crate::world::World::etcd().await).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::$module::$property(&mut crate::world::World::sqlite()).await;
            })+
        }
    };
    ($module:ident: $($property:ident),+ $(,)?) => {
        mod on_etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::$module::$property(&crate::world::World::etcd().await).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::$module::$property(&crate::world::World::sqlite()).await;
            })+
        }
    };
}
