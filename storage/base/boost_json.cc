// Boost.JSON's only compiled copy: the library is used header-only, so no shared object is needed.
#include <boost/json/src.hpp>
