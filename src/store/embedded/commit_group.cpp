#include "store/embedded/commit_group.hpp"

namespace mpr {

std::uint32_t CommitGroup::finish_record(std::size_t at) {
  seal(records_, at, static_cast<std::uint32_t>(segment_.end), segment_.seed);
  return static_cast<std::uint32_t>(segment_.end + at);
}

std::uint32_t CommitGroup::put_add(const NewMessage& message, std::uint64_t position,
                                   AddOperation& operation, const Hash128& queue_key,
                                   const Hash128& id_key) {
  const std::size_t at = records_.size();
  append_add(records_, message, position);
  adds_.emplace(id_key, &operation);
  StagedQueue& staged = queue(queue_key);
  staged.added += 1;
  staged.added_bytes += message.size();
  added_bytes_ += message.size();
  return finish_record(at);
}

void CommitGroup::put_removal(const std::vector<IndexEntry*>& entries) {
  std::vector<Removal> removals;
  removals.reserve(entries.size());
  StagedQueue& staged = queue(entries.front()->queue->all.key);
  for (IndexEntry* entry : entries) {
    Removal removal;
    removal.position = entry->position;
    if (entry->caller_chose_id) {
      removal.caller_id = Removal::CallerId{entry->id_key, entry->received_at};
    }
    removals.push_back(removal);
    entry->staged_for_removal = true;
    staged.removed += 1;
    staged.removed_bytes += entry->size;
    removals_.push_back(entry);
  }
  const std::size_t at = records_.size();
  append_remove(records_, now_, removals);
  finish_record(at);
}

std::uint32_t CommitGroup::put_copy(std::string_view record) {
  const std::size_t at = records_.size();
  records_ += record;
  return finish_record(at);
}

void CommitGroup::put_remembered(std::span<const RememberedId> ids) {
  const std::size_t at = records_.size();
  append_remembered(records_, ids);
  finish_record(at);
}

void CommitGroup::remove(IndexEntry& entry) {
  if (entry.caller_chose_id) {
    store_.remembered.remember({entry.id_key, entry.position, entry.received_at, now_},
                               segment_.header.sequence);
  }
  store_.index.erase(entry);
}

void CommitGroup::undo() {
  for (IndexEntry* entry : removals_) entry->staged_for_removal = false;
}

}  // namespace mpr
