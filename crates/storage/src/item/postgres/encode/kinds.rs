//! The common parts of the serializers of values: the kinds that all of them refuse, and tuples, which are sequences.

/// Nothing can be collected of the compound kinds that are refused.
macro_rules! refused_compounds {
    () => {
        type SerializeTupleStruct = Impossible<(), RowError>;
        type SerializeTupleVariant = Impossible<(), RowError>;
        type SerializeMap = Impossible<(), RowError>;
        type SerializeStruct = Impossible<(), RowError>;
        type SerializeStructVariant = Impossible<(), RowError>;

        fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, RowError> {
            Err(RowError::new("a tuple"))
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, RowError> {
            Err(RowError::new(format!("the variant {variant} with values")))
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowError> {
            Err(RowError::new("a map; only json and jsonb hold one"))
        }

        fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeStruct, RowError> {
            Err(RowError::new(format!("the struct {name}; only json and jsonb hold one")))
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, RowError> {
            Err(RowError::new(format!("the variant {variant} with values")))
        }

        fn serialize_newtype_variant<T: ?Sized + Serialize>(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
            _: &T,
        ) -> Result<(), RowError> {
            Err(RowError::new(format!("the variant {variant} with a value")))
        }
    };
}

/// A tuple is taken as a sequence is.
macro_rules! tuple_like_sequence {
    ($serializer:ident) => {
        impl serde::ser::SerializeTuple for $serializer<'_> {
            type Ok = ();
            type Error = RowError;

            fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), RowError> {
                SerializeSeq::serialize_element(self, value)
            }

            fn end(self) -> Result<(), RowError> {
                SerializeSeq::end(self)
            }
        }
    };
}

pub(super) use {refused_compounds, tuple_like_sequence};
