// Reading members of small JSON objects: credential files and providers' answers.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mpr {

// A text member that has to be there and must not be empty; the error names it.
inline Result<std::string> text_member(simdjson::dom::element json, std::string_view name) {
  std::string_view text;
  if (json[name].get(text) != simdjson::SUCCESS || text.empty()) {
    return fail(Errc::invalid_argument, "has no text member \"" + std::string(name) + "\"");
  }
  return std::string(text);
}

// A text member, or nothing.
inline std::string_view text_or_empty(simdjson::simdjson_result<simdjson::dom::element> json) {
  std::string_view text;
  return json.get(text) == simdjson::SUCCESS ? text : std::string_view();
}

}  // namespace mpr
