//! Generates a test of each property for each store.

/// Generates a test of each property for each store. The properties are functions of one module,
/// which is named first.
macro_rules! properties {
    (mut $($module:ident)::+: $($property:ident),+ $(,)?) => {
        mod on_etcd {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&mut crate::world::World::etcd().await).await;
            })+
        }
        mod on_postgres {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&mut crate::world::World::postgres()).await;
            })+
        }
        mod on_pgbouncer {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&mut crate::world::World::pgbouncer()).await;
            })+
        }
        mod on_sqlite {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&mut crate::world::World::sqlite()).await;
            })+
        }
    };
    ($($module:ident)::+: $($property:ident),+ $(,)?) => {
        mod on_etcd {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&crate::world::World::etcd().await).await;
            })+
        }
        mod on_postgres {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&crate::world::World::postgres()).await;
            })+
        }
        mod on_pgbouncer {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&crate::world::World::pgbouncer()).await;
            })+
        }
        mod on_sqlite {
            use crate::$($module)::+ as module;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                module::$property(&crate::world::World::sqlite()).await;
            })+
        }
    };
}
