//! Purging of expired rows in pages, on both databases.

use sea_orm::EntityTrait;
use sea_orm::entity::prelude::*;
use switchboard::platform::jobs::purge;

use crate::support::on_each_database;

mod numbers {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "numbers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn all_expired_rows_are_purged_however_many_they_are() {
    on_each_database(async |app| {
        app.sql("CREATE TABLE numbers (number bigint PRIMARY KEY)").await.expect("a table");
        let rows = "INSERT INTO numbers (number) WITH RECURSIVE counter (i) AS \
                    (SELECT 1 UNION ALL SELECT i + 1 FROM counter WHERE i < 3500) SELECT i FROM counter";
        app.sql(rows).await.expect("inserted");
        let platform = &app.app.platform;
        for (limit, purged) in [(3_000, 3_000), (3_000, 0), (3_100, 100), (9_999, 400)] {
            let is_expired = numbers::Column::Number.lte(limit);
            let result = purge::<numbers::Entity>(platform, numbers::Column::Number, is_expired);
            assert_eq!(result.await.expect("purged"), purged);
        }
        let left = numbers::Entity::find().count(platform.database.reads()).await.expect("counted");
        assert_eq!(left, 0);
    })
    .await;
}
