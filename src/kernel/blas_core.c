/* OpenBLAS takes OPENBLAS_CORETYPE on trust. A table says what its kernels for each kind of CPU need beyond
 * what every x86-64 has, as found by running them (0.3.21, and its Makefile.x86_64). A kind that is not here
 * needs nothing, or is not known: then OpenBLAS is trusted. */
#include "kernel/blas_core.h"

#include "kernel/blas_threads.h"
#include "metric/isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if TRM_HAVE_X86
#include <cpuid.h>
#endif

const char *trm_blas_core(void)
{
    const trm_blas_function name = trm_blas_find("openblas_get_corename");
    return name != NULL ? ((char *(*)(void))name)() : NULL;
}

#if TRM_HAVE_X86
static bool has_3dnow(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000001U, &a, &b, &c, &d) != 0 && (d >> 31 & 1U) != 0;
}

static bool has_avx(void)
{
    return __builtin_cpu_supports("avx") != 0;
}

static bool has_fma4(void)
{
    return has_avx() && __builtin_cpu_supports("fma4") != 0;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
           __builtin_cpu_supports("avx512cd") != 0;
}

static const struct {
    const char *core;
    bool (*has)(void);
    const char *needs;
} known[] = {
    {"SkylakeX", has_avx512, "AVX-512"},       {"Cooperlake", has_avx512, "AVX-512"},
    {"Sapphirerapids", has_avx512, "AVX-512"}, {"Haswell", has_avx2, "AVX2 and FMA"},
    {"Zen", has_avx2, "AVX2 and FMA"},         {"Sandybridge", has_avx, "AVX"},
    {"Bulldozer", has_fma4, "FMA4"},           {"Piledriver", has_fma4, "FMA4"},
    {"Steamroller", has_fma4, "FMA4"},         {"Excavator", has_fma4, "FMA4"},
    {"Athlon", has_3dnow, "3DNow!"},           {"Opteron", has_3dnow, "3DNow!"},
    {"Opteron_SSE3", has_3dnow, "3DNow!"},
};
#endif

trm_status trm_blas_check_core_name(const char *core, trm_error *err)
{
#if TRM_HAVE_X86
    const char *told = getenv("OPENBLAS_CORETYPE");
    for (size_t i = 0; core != NULL && i < sizeof known / sizeof *known; i++)
        if (strcasecmp(known[i].core, core) == 0 && !known[i].has())
            return trm_fail(
                err, TRM_ERR_ENVIRONMENT,
                "OpenBLAS computes for the CPU type %s, which has %s, and this CPU has not%s%s: %s", core,
                known[i].needs, told != NULL ? "; OPENBLAS_CORETYPE=" : "", told != NULL ? told : "",
                told != NULL ? "unset it, or mine with --kernel fp32" : "mine with --kernel fp32");
#else
    (void)core;
    (void)err;
#endif
    return TRM_OK;
}

trm_status trm_blas_check_core(trm_error *err)
{
    return trm_blas_check_core_name(trm_blas_core(), err);
}
