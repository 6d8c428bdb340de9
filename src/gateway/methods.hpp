// The method table: carries out a decoded call against the pickup service and yields its result as
// JSON text.
//
// Thread-safe and without state: any executor thread may call. The service outlives it. It never
// touches a socket, so what is state of a socket (rpc.on, rpc.off, rpc.login) is the session's.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/task.hpp"
#include "core/requests.hpp"
#include "pickup/pickup_service.hpp"
#include "rpc/calls.hpp"

namespace mpr {

class Methods {
 public:
  explicit Methods(PickupService& service) : service_(service) {}

  // The result member of the answer as JSON text, or why there is none. Subscribe, Unsubscribe and
  // Login are answered `internal`: the session handles them before it comes here.
  Task<Result<std::string>> execute(Caller caller, rpc::Call call, Deadline deadline);

 private:
  PickupService& service_;
};

}  // namespace mpr
