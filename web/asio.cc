// Asio and Beast, compiled once for the whole folder (BOOST_*_SEPARATE_COMPILATION in CMake).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
