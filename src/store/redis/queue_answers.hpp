// What the scripts of a queue answer, understood. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "core/tiers.hpp"
#include "store/redis/request.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

// A script with scripts/queue.lua in front of it, behind its flags: queue_script<scripts::count>().
std::string with_queue_prelude(const std::string& text);
template <const Script& (*script)()>
const Script& queue_script() {
  static const Script whole(script().name, with_queue_prelude(script().text));
  return whole;
}

// What is known of the tiers of one queue: the tier state's fields and values, one after the other.
struct TierState {
  std::string mark;  // "0": the cold tier is known to be empty
  Position moved;    // everything up to here has left the hot tier
  std::vector<MessageId> withdrawn;
};
TierState parse_tier_state(const Connection& connection, const Value& answer);

// A view of what was read together with the state; `first` is an entry or empty.
HotView make_view(TierState state, std::string_view first);

// The id of a message by its entry and tag (see scripts/queue.lua).
std::optional<MessageId> id_of_tag(const Connection& connection, std::string_view entry,
                                   std::string_view tag);
// Of a list of entry, tag, entry, tag...
std::vector<MessageId> ids_of_tags(const Connection& connection, const Value& list);

// An array of at least so many items, or an error: a script answered what it never answers.
Result<Value> expect_items(Value answer, std::size_t how_many);

}  // namespace mpr::redis
