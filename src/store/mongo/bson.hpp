// BSON documents: built, owned and read. A thin cover over libbson, so that nobody else frees one.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <bson/bson.h>

#include "base/text.hpp"

namespace mpr::mongo {

class Document {
 public:
  Document() : bson_(bson_new()) {}
  explicit Document(const bson_t& copied) : bson_(bson_copy(&copied)) {}

  Document& text(std::string_view key, std::string_view value);
  Document& binary(std::string_view key, std::string_view value);
  // Text, or binary if it is no UTF-8 or contains a zero, which not every server can hold in text.
  Document& any_text(std::string_view key, std::string_view value);
  Document& integer(std::string_view key, std::int64_t value);
  Document& small(std::string_view key, std::int32_t value);
  Document& boolean(std::string_view key, bool value);
  Document& time(std::string_view key, TimePoint value);
  Document& null(std::string_view key);
  Document& object_id(std::string_view key, const bson_oid_t& value);
  Document& document(std::string_view key, const Document& value);
  // `bytes` is a whole BSON document.
  Document& raw_document(std::string_view key, std::string_view bytes);
  Document& array(std::string_view key, const Document& value);  // keys "0", "1", ...
  Document& value(std::string_view key, const bson_iter_t& value);

  const bson_t* get() const { return bson_.get(); }
  bson_t* get() { return bson_.get(); }
  std::size_t size() const { return bson_->len; }
  std::string json() const;  // for tests and messages

 private:
  struct Destroy {
    void operator()(bson_t* b) const { bson_destroy(b); }
  };
  std::unique_ptr<bson_t, Destroy> bson_;
};

// An array under construction: its keys are counted.
class Array {
 public:
  Array& any_text(std::string_view value) { return document_.any_text(next(), value), *this; }
  Array& integer(std::int64_t value) { return document_.integer(next(), value), *this; }
  Array& document(const Document& value) { return document_.document(next(), value), *this; }
  Array& object_id(const bson_oid_t& value) { return document_.object_id(next(), value), *this; }
  Array& null() { return document_.null(next()), *this; }
  Array& value(const bson_iter_t& value) { return document_.value(next(), value), *this; }
  const Document& done() const { return document_; }
  std::size_t size() const { return size_; }

 private:
  std::string next() { return std::to_string(size_++); }

  Document document_;
  std::size_t size_ = 0;
};

// A member of a document, or none. (An optional would lose the alignment that libbson asks for.)
class Member {
 public:
  Member(const bson_t& document, const char* key)
      : found_(bson_iter_init_find(&at_, &document, key)) {}
  explicit operator bool() const { return found_; }
  bool has_value() const { return found_; }
  const bson_iter_t& operator*() const { return at_; }

 private:
  bson_iter_t at_{};
  bool found_;
};

// Reading: nothing if the member is absent or of another type.
Member find(const bson_t& document, const char* key);
std::optional<std::string> read_any_text(const bson_t& document, const char* key);
std::optional<std::int64_t> read_integer(const bson_t& document, const char* key);
std::optional<TimePoint> read_time(const bson_t& document, const char* key);

// The text or binary value at the iterator.
std::optional<std::string> any_text_at(const bson_iter_t& at);

}  // namespace mpr::mongo
