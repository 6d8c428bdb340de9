// Random JSON text for property tests: every kind of value, escape and spacing. A seed makes it
// repeatable; a test prints the seed it used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

namespace mpr::rpc {

// MPR_TEST_SEED if set, so that a failure can be repeated; else a new one.
inline std::uint64_t fresh_seed() {
  if (const char* given = std::getenv("MPR_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

class RandomJson {
 public:
  explicit RandomJson(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) { return engine_() % bound; }

  std::string value(int depth) {
    switch (below(depth > 0 ? 8 : 5)) {
      case 0:
        return pick(std::array{"null", "true", "false"});
      case 1:
        return pick(std::array{"0", "-0", "1", "10.0", "-1.5", "1e3", "1E-7", "0.1e+2"});
      case 2:
        return std::to_string(engine_()) + std::to_string(engine_());
      case 3:
      case 4:
        return string();
      case 5:
        return array(depth);
      default:
        return object(depth);
    }
  }

  std::string spaced_value(int depth) { return space() + value(depth) + space(); }

  std::string object(int depth) {
    std::string out = "{" + space();
    for (std::size_t i = 0, members = below(5); i < members; ++i) {
      if (i > 0) out += "," + space();
      out += string() + space() + ":" + spaced_value(depth - 1);
    }
    return out + "}";
  }

  std::string array(int depth) {
    std::string out = "[" + space();
    for (std::size_t i = 0, elements = below(5); i < elements; ++i) {
      if (i > 0) out += ",";
      out += spaced_value(depth - 1);
    }
    return out + "]";
  }

  std::string string() {
    std::string out = "\"";
    for (std::size_t i = 0, pieces = below(6); i < pieces; ++i) {
      out += pick(std::array{"a",
                             "key",
                             " ",
                             "\xc3\xa9",
                             "\xe2\x82\xac",
                             "\xf0\x9f\x98\x80",
                             "\\n",
                             "\\\"",
                             "\\\\",
                             "\\/",
                             "\\u0041",
                             "\\ud83d\\ude00",
                             "\\u0000",
                             "{",
                             "}",
                             "[",
                             "]",
                             ",",
                             ":",
                             "ZXlKaGJHY2lPaUprYVhJaUxDSmxibU1p"});
    }
    return out + "\"";
  }

  // Changes, drops or repeats a byte, which usually, not always, leaves text that is no JSON.
  void damage(std::string& text) {
    if (text.empty()) return;
    const std::size_t at = below(text.size());
    switch (below(4)) {
      case 0:
        text.erase(at, 1);
        break;
      case 1:
        text.insert(at, 1, text[below(text.size())]);
        break;
      case 2:
        text[at] = "{}[]\",:\\0123eE+-.tfn \n\x01"[below(22)];
        break;
      default:
        text.resize(at);
    }
  }

 private:
  template <std::size_t N>
  std::string pick(const std::array<const char*, N>& from) {
    return from[below(N)];
  }
  std::string space() { return below(3) == 0 ? pick(std::array{" ", "\n", "\t", "\r", "  "}) : ""; }

  std::mt19937_64 engine_;
};

}  // namespace mpr::rpc
