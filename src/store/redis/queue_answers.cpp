#include "store/redis/queue_answers.hpp"

#include <algorithm>
#include <charconv>

#include "store/redis/message_ids.hpp"
#include "store/redis/scripts.hpp"

namespace mpr::redis {

std::string with_queue_prelude(const std::string& text) {
  // Flags count in the first line only.
  const std::size_t flags = text.starts_with("#!") ? text.find('\n') + 1 : 0;
  return text.substr(0, flags) + scripts::queue().text + "\n" + text.substr(flags);
}

std::optional<MessageId> id_of_tag(const Connection& connection, std::string_view entry,
                                   std::string_view tag) {
  if (tag.empty()) return std::nullopt;
  const std::string_view rest = tag.substr(1);
  if (tag.front() == 'c') return MessageId(rest);
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
  const auto position = position_of(entry);
  if (tag.front() != 's' || error != std::errc{} || end != rest.data() + rest.size() || !position) {
    return std::nullopt;
  }
  return encode_message_id(connection, {*position, size});
}

std::vector<MessageId> ids_of_tags(const Connection& connection, const Value& list) {
  std::vector<MessageId> ids;
  for (std::size_t i = 0; i + 1 < list.items.size(); i += 2) {
    auto id = id_of_tag(connection, list.items[i].text, list.items[i + 1].text);
    if (id) ids.push_back(std::move(*id));
  }
  return ids;
}

TierState parse_tier_state(const Connection& connection, const Value& answer) {
  TierState state;
  for (std::size_t i = 0; i + 1 < answer.items.size(); i += 2) {
    const std::string_view field = answer.items[i].text;
    const std::string_view value = answer.items[i + 1].text;
    if (field == "mark") state.mark = value;
    if (field == "moved") state.moved = position_of(value).value_or(Position{});
    std::optional<MessageId> id;
    if (field.starts_with("w:") && !value.empty()) {
      id = id_of_tag(connection, field.substr(2), value.substr(1));
    } else if (field.starts_with("g:")) {
      const auto colon = value.find(':');
      if (colon != std::string_view::npos) {
        id = id_of_tag(connection, field.substr(2), value.substr(colon + 1));
      }
    }
    if (id) state.withdrawn.push_back(std::move(*id));
  }
  std::sort(state.withdrawn.begin(), state.withdrawn.end());
  state.withdrawn.erase(std::unique(state.withdrawn.begin(), state.withdrawn.end()),
                        state.withdrawn.end());
  return state;
}

HotView make_view(TierState state, std::string_view first) {
  HotView view;
  view.first = position_of(first);
  view.withdrawn = std::move(state.withdrawn);
  view.cold_possible = state.mark != "0";
  view.cold_mark = std::move(state.mark);
  return view;
}

Result<Value> expect_items(Value answer, std::size_t how_many) {
  if (answer.is_array() && answer.items.size() >= how_many) return answer;
  return fail(Errc::internal, "a Redis script answered something unexpected");
}

}  // namespace mpr::redis
