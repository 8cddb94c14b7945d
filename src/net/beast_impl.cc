// The separately compiled part of Beast; BOOST_BEAST_SEPARATE_COMPILATION is set for the whole
// project.
#include <boost/beast/src.hpp>
