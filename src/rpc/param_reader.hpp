// Reads the parameters of one object and remembers the first that is wrong, so that a method's
// decoder is a list of what it wants.
//
// Lives on the stack of one decode; the ParamSet outlives it. What it yields after a problem is
// empty and must not be used.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"
#include "core/message.hpp"
#include "rpc/call_decoder.hpp"

namespace mpr::rpc {

class ParamReader {
 public:
  explicit ParamReader(const ParamSet& params) : params_(params) {}

  // The first refusal so far.
  std::optional<Error> take_problem() { return std::move(problem_); }

  // A non-empty string of at most `most` bytes without control characters.
  std::string text(Param param, std::size_t most);
  // The same, or null, or absent.
  std::optional<std::string> optional_text(Param param, std::size_t most);

  template <class Id>
  Id id(Param param) {
    return Id(text(param, limits::kIdBytes));
  }
  template <class Id>
  std::optional<Id> optional_id(Param param) {
    auto value = optional_text(param, limits::kIdBytes);
    return value ? std::optional<Id>(std::move(*value)) : std::nullopt;
  }

  std::optional<RecipientDid> recipient_did();
  std::vector<RecipientDid> recipient_dids();
  std::vector<MessageId> message_ids();
  std::optional<MessageId> caller_message_id();
  Payload payload(std::size_t most_bytes);
  std::optional<PushToken> push_token();
  std::optional<TimePoint> time(Param param);
  std::optional<std::chrono::seconds> ttl();

  // A whole number; 0 if null or absent.
  std::uint64_t count(Param param);
  // false if null or absent.
  bool flag(Param param);

  // Calls `read` with a reader for each element of `messages`, up to the first problem.
  void each_message(const std::function<void(ParamReader&)>& read);

 private:
  // A parameter, or one element of it.
  struct Place {
    Param param;
    std::optional<std::size_t> index;
  };

  ParamReader(const ParamSet& params, std::string prefix)
      : params_(params), prefix_(std::move(prefix)) {}
  bool given(Param param) const noexcept;
  void refuse(Place place, std::string_view what, Errc code = Errc::invalid_argument);
  void refuse(Param param, std::string_view what) { refuse(Place{param, std::nullopt}, what); }
  std::optional<std::string> checked_text(RawJson raw, Place place, std::size_t most);
  PushToken read_push_token();
  std::vector<std::string> texts(Param param, std::size_t most, std::size_t most_bytes);

  const ParamSet& params_;
  std::string prefix_;  // "messages[3]." for an object inside of the params
  std::optional<Error> problem_;
};

// The params of rpc.on and rpc.off: an array of strings, known names or not.
Result<std::vector<std::string>> read_event_names(RawJson params);

}  // namespace mpr::rpc
