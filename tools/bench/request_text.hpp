// The texts that the load generator sends and expects, built once: per request only a few
// fixed-width decimal fields are patched, so that making a request costs no more than copying it.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mpr::bench {

// A text with decimal fields of fixed width, for example "...-00000042".
class PatchedText {
 public:
  struct Field {
    std::size_t offset = 0;
    std::size_t width = 0;
  };

  void append(std::string_view text) { text_ += text; }
  // Appends `width` zeros that set() replaces.
  Field append_field(std::size_t width);
  // Writes the last `field.width` decimal digits of `value`, zeros in front.
  void set(Field field, std::uint64_t value) noexcept;

  std::string_view text() const noexcept { return text_; }

 private:
  std::string text_;
};

// The number that `digits` spells; nullopt unless it is 1 to 19 decimal digits.
std::optional<std::uint64_t> parse_digits(std::string_view digits) noexcept;

// The names of the connections that one run uses: "bench-<tag>-<number>", where the tag differs
// from run to run so that two runs against one server never share a queue.
class ConnectionNames {
 public:
  static constexpr std::size_t kDigits = 8;
  explicit ConnectionNames(std::string_view run_tag)
      : prefix_("bench-" + std::string(run_tag) + "-") {}

  const std::string& prefix() const noexcept { return prefix_; }
  std::string name(std::uint64_t number) const;
  // nullopt: no name of this run.
  std::optional<std::uint64_t> number_of(std::string_view name) const noexcept;

 private:
  const std::string prefix_;
};

// A payload of an exact size that carries a sequence number, shaped like an encrypted DIDComm
// message. Below kLeastBytes there is no room for the frame.
class PayloadText {
 public:
  static constexpr std::size_t kSequenceDigits = 16;
  static const std::size_t kLeastBytes;

  explicit PayloadText(std::size_t bytes);

  void set_sequence(std::uint64_t sequence) noexcept { text_.set(sequence_, sequence); }
  std::string_view text() const noexcept { return text_.text(); }

  // The sequence number of a payload that is byte for byte one of ours; nullopt for any other.
  std::optional<std::uint64_t> sequence_of(std::string_view payload) const noexcept;

 private:
  PatchedText text_;
  PatchedText::Field sequence_;
};

// The params of addMessage.
class AddParams {
 public:
  AddParams(const ConnectionNames& names, std::size_t payload_bytes);

  std::string_view patch(std::uint64_t connection, std::uint64_t sequence) noexcept;

 private:
  PatchedText text_;
  PatchedText::Field connection_;
  PatchedText::Field sequence_;
};

// The params of a method that takes only a connection, with `tail` behind it, for example
// R"(,"sessionId":"bench")".
class ConnectionParams {
 public:
  explicit ConnectionParams(const ConnectionNames& names, std::string_view tail = {});

  std::string_view patch(std::uint64_t connection) noexcept;

 private:
  PatchedText text_;
  PatchedText::Field connection_;
};

}  // namespace mpr::bench
