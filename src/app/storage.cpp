#include "app/storage.hpp"

#include "app/redis_storage.hpp"
#include "store/embedded/embedded_directory.hpp"
#include "store/embedded/embedded_store.hpp"
#include "store/memory/memory_directory.hpp"
#include "store/memory/memory_store.hpp"

namespace mpr {

namespace {

class SingleProcess final : public Storage {
 public:
  SingleProcess(std::unique_ptr<MessageStore> store, std::unique_ptr<LiveDirectory> directory)
      : store_(std::move(store)), directory_(std::move(directory)) {}

  MessageStore& store() override { return *store_; }
  LiveDirectory& directory() override { return *directory_; }

 private:
  std::unique_ptr<MessageStore> store_;
  std::unique_ptr<LiveDirectory> directory_;
};

Result<std::unique_ptr<Storage>> open_embedded(const Settings& settings, const GatewayId& self,
                                               Storage::Ports ports) {
  EmbeddedStore::Options options{.directory = settings.data_dir,
                                 .segment_bytes = settings.segment_bytes,
                                 .max_queue_messages = settings.max_queue_messages,
                                 .max_queue_bytes = settings.max_queue_bytes,
                                 .max_store_bytes = settings.max_store_bytes,
                                 .idempotency_window = settings.idempotency_window,
                                 .remembered_ids = settings.remembered_ids};
  auto store = EmbeddedStore::open(std::move(options), ports.clock, ports.metrics);
  if (!store) return std::unexpected(store.error());
  // A directory within the store's, since each has a lock and a format of its own.
  auto directory = EmbeddedDirectory::open(
      {.directory = settings.data_dir / "sessions", .self = self}, ports.metrics);
  if (!directory) return std::unexpected(directory.error());
  return std::make_unique<SingleProcess>(std::move(*store), std::move(*directory));
}

std::unique_ptr<Storage> open_memory(const Settings& settings, const GatewayId& self,
                                     Storage::Ports ports) {
  const MemoryStore::Options options{.max_queue_messages = settings.max_queue_messages,
                                     .max_queue_bytes = settings.max_queue_bytes,
                                     .max_store_bytes = settings.max_store_bytes,
                                     .idempotency_window = settings.idempotency_window,
                                     .remembered_ids = settings.remembered_ids};
  return std::make_unique<SingleProcess>(
      std::make_unique<MemoryStore>(options, ports.clock, ports.metrics),
      std::make_unique<MemoryDirectory>(make_memory_hub(), self));
}

}  // namespace

Result<std::unique_ptr<Storage>> Storage::open(const Settings& settings, const GatewayId& self,
                                               Ports ports) {
  switch (settings.backend) {
    case Backend::memory:
      return open_memory(settings, self, ports);
    case Backend::redis:
      return open_redis_storage(settings, self, ports);
    case Backend::automatic:
    case Backend::embedded:
      return open_embedded(settings, self, ports);
  }
  return fail(Errc::internal, "no such backend");
}

}  // namespace mpr
