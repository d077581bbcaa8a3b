// Boost.JSON, compiled into the binary once: Debian's package is not split from the other Boost
// libraries, and its headers alone do without them.
#include <boost/json/src.hpp>
