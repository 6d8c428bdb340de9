#include "store/embedded/operations.hpp"

#include <algorithm>
#include <string>

namespace mpr {

namespace {

// How many removals may be put into the group, at most `wanted`; nullopt: start a new segment
// first.
std::optional<std::size_t> removals_that_fit(const CommitGroup& group, std::uint64_t most_room,
                                             std::size_t wanted) {
  if (group.fits(kRecordOverheadBytes + wanted * kMaxRemovalBytes)) return wanted;
  if (!group.fresh()) return std::nullopt;
  return static_cast<std::size_t>((most_room - kRecordOverheadBytes) / kMaxRemovalBytes);
}

void remove_staged(CommitGroup& group, std::vector<IndexEntry*>& staged, RemoveOutcome& outcome) {
  for (IndexEntry* entry : staged) {
    outcome.removed.push_back(Position{entry->position});
    group.remove(*entry);
  }
  staged.clear();
}

std::uint64_t pending_in(CommitGroup& group, const Hash128& queue_key) {
  const IndexQueue* queue = group.index().queue(queue_key);
  return queue ? queue->all.count : 0;
}

}  // namespace

AddOperation::AddOperation(NewMessage message, const KeyedHash& hash, const Hash128& queue_key,
                           Deadline d)
    : AnsweredOperation(d, queue_key, sizeof *this + add_record_bytes(message)),
      message_(std::move(message)),
      record_bytes_(add_record_bytes(message_)),
      id_key_(QueueIndex::key_in(hash, queue_key, message_.id.value)) {
  lane_keys_.reserve(message_.recipient_dids.size());
  for (const RecipientDid& did : message_.recipient_dids) {
    lane_keys_.push_back(QueueIndex::key_in(hash, queue_key, did.value));
  }
  outcome_.id = message_.id;
  outcome_.received_at = message_.received_at;
}

Staged AddOperation::stage(CommitGroup& group) {
  CommitGroup::Store& store = group.store();
  if (find_duplicate(group)) return Staged::in_group;
  if (record_bytes_ > store.log.most_room()) {
    return refuse_now(Errc::too_large,
                      "a message of " + std::to_string(message_.size()) +
                          " bytes does not fit into a log segment of " +
                          std::to_string(store.options.segment_bytes) + " bytes",
                      group);
  }
  if (auto error = over_quota(group)) {
    return refuse_now(error->code, std::move(error->context), group);
  }
  if (!store.log.has_reserve()) {
    return refuse_now(Errc::unavailable, "the disk is full: what is left is kept for removals",
                      group);
  }
  if (!group.fits(record_bytes_)) return Staged::needs_room;
  outcome_.position = Position{store.next_position++};
  offset_ = group.put_add(message_, outcome_.position.value, *this, queue_key, id_key_);
  return Staged::in_group;
}

void AddOperation::become_duplicate(TimePoint received_at, std::uint64_t position) {
  outcome_.received_at = received_at;
  outcome_.position = Position{position};
  outcome_.duplicate = true;
}

bool AddOperation::find_duplicate(CommitGroup& group) {
  const bool remembers = message_.id_origin == IdOrigin::caller;
  const IndexEntry* pending = group.index().find(queue_key, id_key_);
  if (pending && (!pending->staged_for_removal || (remembers && pending->caller_chose_id))) {
    become_duplicate(pending->received_at, pending->position);
    return true;
  }
  if (const AddOperation* twin = group.find_add(id_key_)) {
    become_duplicate(twin->outcome().received_at, twin->outcome().position.value);
    return true;
  }
  if (!remembers) return false;
  const RememberedId* known = group.store().remembered.find(id_key_, group.now());
  if (!known) return false;
  become_duplicate(known->received_at, known->position);
  return true;
}

std::optional<Error> AddOperation::over_quota(CommitGroup& group) const {
  const EmbeddedOptions& options = group.store().options;
  const IndexQueue* queue = group.index().queue(queue_key);
  std::uint64_t messages = queue ? queue->all.count : 0;
  std::uint64_t bytes = queue ? queue->all.bytes : 0;
  if (const auto* staged = group.find_queue(queue_key)) {
    messages += staged->added - staged->removed;
    bytes += staged->added_bytes - staged->removed_bytes;
  }
  if (messages >= options.max_queue_messages) {
    return Error{Errc::quota_exceeded, "the queue of this connection is full: it may hold " +
                                           std::to_string(options.max_queue_messages) +
                                           " messages"};
  }
  if (bytes + message_.size() > options.max_queue_bytes) {
    return Error{Errc::quota_exceeded, "the queue of this connection is full: it may hold " +
                                           std::to_string(options.max_queue_bytes) + " bytes"};
  }
  if (options.max_store_bytes != 0 &&
      group.index().totals().bytes + group.added_bytes() + message_.size() >
          options.max_store_bytes) {
    return Error{Errc::quota_exceeded, "the store is full: it may hold " +
                                           std::to_string(options.max_store_bytes) + " bytes"};
  }
  return std::nullopt;
}

void AddOperation::apply(CommitGroup& group) {
  if (!outcome_.duplicate) {
    QueueIndex::NewEntry entry;
    entry.queue_key = queue_key;
    entry.id_key = id_key_;
    entry.lane_keys = lane_keys_;
    entry.position = outcome_.position.value;
    entry.segment = &group.segment();
    entry.offset = offset_;
    entry.length = static_cast<std::uint32_t>(record_bytes_);
    entry.size = static_cast<std::uint32_t>(message_.size());
    entry.caller_chose_id = message_.id_origin == IdOrigin::caller;
    entry.has_token = message_.push_token.has_value();
    entry.received_at = message_.received_at;
    entry.expires_at = message_.expires_at;
    outcome_.previous = group.index().insert(entry);
  }
  answer(outcome_, group);
}

Staged RemovalOperation::stage(CommitGroup& group) {
  if (group.adds_to(queue_key)) return Staged::later;
  std::vector<IndexEntry*> found = found_in(group);
  const auto fit = removals_that_fit(group, group.store().log.most_room(), found.size());
  if (!fit) return Staged::needs_room;
  complete_ = *fit == found.size();
  found.resize(*fit);
  staged_ = std::move(found);
  if (!staged_.empty()) group.put_removal(staged_);
  return complete_ ? Staged::in_group : Staged::in_part;
}

void RemovalOperation::apply(CommitGroup& group) {
  remove_staged(group, staged_, outcome_);
  if (!complete_) return;
  outcome_.remaining = pending_in(group, queue_key);
  answer(std::move(outcome_), group);
}

RemoveOperation::RemoveOperation(const std::vector<MessageId>& ids, const KeyedHash& hash,
                                 const Hash128& queue_key, Deadline d)
    : RemovalOperation(d, queue_key, sizeof *this + ids.size() * sizeof(Hash128)) {
  id_keys_.reserve(ids.size());
  for (const MessageId& id : ids) {
    id_keys_.push_back(QueueIndex::key_in(hash, queue_key, id.value));
  }
}

std::vector<IndexEntry*> RemoveOperation::found_in(CommitGroup& group) {
  std::vector<IndexEntry*> found;
  for (const Hash128& id_key : id_keys_) {
    IndexEntry* const entry = group.index().find(queue_key, id_key);
    if (entry && !entry->staged_for_removal) found.push_back(entry);
  }
  // An id that is given twice is removed once.
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<IndexEntry*> RemoveAllOperation::found_in(CommitGroup& group) {
  return group.index().all_of(scope_, std::numeric_limits<std::size_t>::max());
}

Staged TakeOperation::stage(CommitGroup& group) {
  if (group.adds_to(queue_key)) return Staged::later;
  std::vector<IndexEntry*> chosen = group.index().choose(scope_, query_, group.now());
  const auto fit = removals_that_fit(group, group.store().log.most_room(), chosen.size());
  if (!fit) return Staged::needs_room;
  chosen.resize(*fit);
  taken_.clear();
  taken_.reserve(chosen.size());
  for (const IndexEntry* entry : chosen) {
    auto message = read_message(
        {entry->segment->shared_from_this(), entry->offset, entry->length, entry->position});
    if (!message) {
      return refuse_now(message.error().code, std::move(message.error().context), group);
    }
    taken_.push_back(std::move(*message));
  }
  staged_ = std::move(chosen);
  if (!staged_.empty()) group.put_removal(staged_);
  return Staged::in_group;
}

void TakeOperation::apply(CommitGroup& group) {
  for (IndexEntry* entry : staged_) group.remove(*entry);
  answer(std::move(taken_), group);
}

}  // namespace mpr
