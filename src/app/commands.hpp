// The subcommands that run or inspect the service on this machine; those that drive one from
// outside stand in tools/commands.hpp. Each returns the process's exit code: 0 well, 1 it failed,
// 2 wrong usage or configuration. For the main thread.
#pragma once

#include <span>
#include <string>

namespace mpr {

// `mpr serve`: until SIGTERM, SIGINT or SIGHUP; a second signal ends the process at once.
int serve_command(std::span<const std::string> args);

// `mpr check`: prints every option with its source, then tries what the start would need.
int check_command(std::span<const std::string> args);

// `mpr migrate`: takes over the queues that another service left in Redis.
int migrate_command(std::span<const std::string> args);

// `mpr push-test`: sends one push notification and explains the provider's answer.
int push_test_command(std::span<const std::string> args);

}  // namespace mpr
