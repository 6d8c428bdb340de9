// Where the parts of a client say what they do; see Client::on_log(). One thread.
#pragma once

#include <functional>
#include <mpr/client.hpp>
#include <string_view>

namespace mpr::client {

class Journal {
 public:
  using Handler = std::move_only_function<void(LogLevel, std::string_view)>;

  void set_handler(Handler handler) { handler_ = std::move(handler); }
  void note(LogLevel level, std::string_view sentence) {
    if (handler_) handler_(level, sentence);
  }

 private:
  Handler handler_;
};

}  // namespace mpr::client
