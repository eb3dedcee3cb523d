/* The library's own version, whatever header a program was compiled with. */
#include "trimine/version.h"

const char *trm_version(void)
{
    return TRM_VERSION;
}
