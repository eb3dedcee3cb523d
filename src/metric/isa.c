/* The choice of instruction set: asked of the CPU once, kept in one atomic. */
#include "metric/isa.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if TRM_HAVE_X86
#include <cpuid.h>
#endif

static const char *const names[] = {"portable", "avx2", "avxvnni", "avx512"};
static atomic_int chosen = -1;

/* By CPUID, since not every compiler knows the name. */
static bool ask_avxvnni(void)
{
#if TRM_HAVE_X86
    enum { FEATURES = 7, SUBLEAF = 1, AVX_VNNI = 4 };
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(FEATURES, SUBLEAF, &a, &b, &c, &d) != 0 &&
           (a >> AVX_VNNI & 1U) != 0;
#else
    return false;
#endif
}

/* Asked once: kernels ask for each tile, and virtual machines are slow at CPUID. */
bool trm_isa_cpu_has_avxvnni(void)
{
    static atomic_int known = -1;
    int has = atomic_load_explicit(&known, memory_order_relaxed);
    if (has < 0) {
        has = ask_avxvnni();
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    return has != 0;
}

bool trm_isa_cpu_has_avx512_vnni(void)
{
#if TRM_HAVE_X86
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
    return false;
#endif
}

static trm_isa of_cpu(void)
{
#if TRM_HAVE_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return TRM_ISA_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return TRM_ISA_AVX512;
    return trm_isa_cpu_has_avxvnni() ? TRM_ISA_AVXVNNI : TRM_ISA_AVX2;
#else
    return TRM_ISA_PORTABLE;
#endif
}

trm_isa trm_isa_limit(trm_isa isa)
{
    const trm_isa cpu = of_cpu();
    const trm_isa use = isa < cpu ? isa : cpu;
    atomic_store_explicit(&chosen, (int)use, memory_order_relaxed);
    return use;
}

trm_isa trm_isa_get(void)
{
    int isa = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (isa >= 0)
        return (trm_isa)isa;
    trm_isa limit = TRM_ISA_AVX512;
    const char *wish = getenv("TRIMINE_ISA");
    for (int i = 0; wish != NULL && i <= (int)TRM_ISA_AVX512; i++)
        if (strcmp(wish, names[i]) == 0)
            limit = (trm_isa)i;
    return trm_isa_limit(limit);
}

bool trm_isa_sums_bytes(void)
{
    return trm_isa_get() >= TRM_ISA_AVXVNNI && (trm_isa_cpu_has_avxvnni() || trm_isa_cpu_has_avx512_vnni());
}

const char *trm_isa_name(trm_isa isa)
{
    return names[isa];
}
