// How the answers of `why`, `doctor` and `paths` read for a person.
#pragma once

#include <string>

#include <boost/json/object.hpp>

namespace quicmesh::cli {

[[nodiscard]] std::string why_text(const boost::json::object& event);
[[nodiscard]] std::string doctor_text(const boost::json::object& event);
/// One row; the first one with the line of headings above it.
[[nodiscard]] std::string path_text(const boost::json::object& event);

}  // namespace quicmesh::cli
