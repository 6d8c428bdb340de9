// JSON text and BSON values, each made of the other, such that bytes are never changed: an object
// becomes BSON only if the way back gives the very same text. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <bson/bson.h>

namespace mpr::mongo {

// The BSON document of a JSON object, if append_json() makes exactly this text of it: no spaces,
// the usual escapes, numbers in their shortest form. Nothing as well for what some servers refuse
// in documents: names that are empty, repeated, contain a dot or begin with `$`; zeros in text;
// arrays in arrays; more than 64 levels.
std::optional<std::string> bson_of_json(std::string_view json);

// Appends the value as JSON. What JSON does not have is rendered as JavaScript would: times in
// ISO 8601, ids in hexadecimal, bytes in base64, all as strings.
void append_json(std::string& out, const bson_iter_t& value);
void append_json(std::string& out, const bson_t& document);

}  // namespace mpr::mongo
