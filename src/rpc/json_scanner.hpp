// Walks over JSON text (RFC 8259) once, checking every byte of its grammar, and hands out the raw
// text of what it passes. Nothing is converted: numbers of any size, escapes and spaces stay as
// they came, which is what lets a payload travel untouched from socket to store and back.
//
// One thread per scanner. The text outlives the scanner and the slices it yields. It is valid
// UTF-8 already (the WebSocket layer checks that); the scanner doesn't look.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/limits.hpp"

namespace mpr::rpc {

// The raw text of one JSON value, without spaces around it. Empty: there is none.
using RawJson = std::string_view;

enum class JsonType { absent, null, boolean, number, string, array, object };

// Judges by the first character, so `raw` is text that a scanner has passed.
JsonType type_of(RawJson raw) noexcept;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) noexcept
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  // Skips spaces and tells the next character; 0 at the end.
  char peek() noexcept {
    while (at_ != end_ && is_space(*at_)) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }

  // Passes one value of any type. False: the text is no JSON; problem() says why, and the scanner
  // is of no further use.
  bool value(RawJson& raw);

  // Passes an object. `on_member(name)` is called behind each colon, with the raw text between the
  // name's quotes, and has to pass the value; false from it ends the walk with false.
  template <class OnMember>
  bool object(OnMember&& on_member) {
    if (!enter('{', "expected an object")) return false;
    if (peek() == '}') return leave();
    while (true) {
      std::string_view name;
      if (peek() != '"') return refuse("expected a member name in quotes");
      if (!string(name)) return false;
      if (!token(':', "expected ':' after a member name")) return false;
      if (!on_member(name)) return false;
      if (peek() == '}') return leave();
      if (!token(',', "expected ',' or '}' in an object")) return false;
    }
  }

  // Passes an array. `on_element()` has to pass one element.
  template <class OnElement>
  bool array(OnElement&& on_element) {
    if (!enter('[', "expected an array")) return false;
    if (peek() == ']') return leave();
    while (true) {
      if (!on_element()) return false;
      if (peek() == ']') return leave();
      if (!token(',', "expected ',' or ']' in an array")) return false;
    }
  }

  // Where the scanner stands, within the text.
  const char* at() const noexcept { return at_; }

  // True if nothing but spaces follows.
  bool at_end();

  // What is wrong and where, for the caller's eyes: "expected a value at byte 7".
  std::string problem() const;

 private:
  static const char* const kTooDeep;

  static bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  bool refuse(const char* problem) noexcept {
    if (problem_ == nullptr) problem_ = problem;
    return false;
  }
  bool token(char expected, const char* problem) noexcept {
    if (peek() != expected) return refuse(problem);
    ++at_;
    return true;
  }
  bool enter(char opening, const char* problem) noexcept {
    if (!token(opening, problem)) return false;
    if (++depth_ > limits::kJsonDepth) return refuse(kTooDeep);
    return true;
  }
  bool leave() noexcept {
    ++at_;
    --depth_;
    return true;
  }
  bool string(std::string_view& inside);
  bool escape();
  bool number();
  bool digits();
  bool word(std::string_view expected);

  const char* const begin_;
  const char* at_;
  const char* const end_;
  std::size_t depth_ = 0;
  const char* problem_ = nullptr;
};

// Appends what the raw text between a string's quotes stands for. False: it names half of a
// surrogate pair, which no UTF-8 text can hold; then `out` has an undefined rest.
bool append_unescaped(std::string& out, std::string_view inside);

// A member name without escapes: `inside` itself, or what it stands for, held by `buffer`. A name
// that stands for nothing stays as it is.
std::string_view plain_name(std::string_view inside, std::string& buffer);

// What a raw string (with its quotes) stands for; nullopt as above.
std::optional<std::string> unescape(RawJson raw);

// A raw number that stands for a whole number of 0 to 2^53, however it is written (10, 10.0, 1e1).
std::optional<std::uint64_t> whole_number(RawJson raw) noexcept;

}  // namespace mpr::rpc
