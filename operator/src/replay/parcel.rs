//! The port for what is sent again, and the unit in which it is sent.

use anyhow::Result;
use myaku::stream::batch::Batch;
use myaku::stream::producer::Item;

/// A source of parcels.
pub trait Parcels: Sync {
    /// Lists the names of all parcels in the order in which they are sent, which is that of [`Name::order`].
    fn names(&self) -> impl Future<Output = Result<Vec<Name>>>;

    /// Reads a parcel.
    fn open(&self, name: &Name) -> impl Future<Output = Result<Parcel>>;
}

/// The name of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The parcel's position among the others, as text.
    pub order: String,
    /// The object's key.
    pub key: String,
}

/// What is sent again together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The label under which the report counts its records: a reason, a function, a shard.
    pub label: String,
    /// The stream that its records were on, or should have been on.
    pub stream: String,
    /// What is in it.
    pub content: Content,
}

/// The content of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Records as their producers sent them.
    Records(Vec<Item>),
    /// A batch as it was delivered, with its positions.
    Batch(Batch),
    /// Nothing that can be sent again, with the reason.
    Unsendable(String),
}

impl Content {
    /// Returns the records of the parcel.
    pub(super) fn into_items(self) -> Vec<Item> {
        match self {
            Self::Records(items) => items,
            Self::Batch(batch) => batch
                .user_records()
                .map(|record| Item { key: record.partition_key.to_owned(), data: record.data.to_vec() })
                .collect(),
            Self::Unsendable(_) => Vec::new(),
        }
    }
}
