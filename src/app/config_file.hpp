// The configuration file's form: KEY=VALUE lines, # comments, blank lines. Pure: text in, entries
// and problems out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mpr {

struct ConfigFileEntry {
  std::string key;
  std::string value;  // surrounding white space, and one pair of quotes, removed
  std::size_t line = 0;
};

struct ConfigFile {
  std::vector<ConfigFileEntry> entries;  // in the order of the file
  std::vector<std::size_t> bad_lines;    // neither KEY=VALUE nor a comment
};

// A comment begins with # at the start of a line, or behind white space. A value in "..." or '...'
// may contain #.
ConfigFile parse_config_file(std::string_view text);

}  // namespace mpr
