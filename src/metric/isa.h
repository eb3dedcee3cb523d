/* Which instruction set the hand-written inner loops may use. Every form gives the results that its contract
 * asks for; the choice changes the time only. Not collective. */
#ifndef TRM_METRIC_ISA_H
#define TRM_METRIC_ISA_H

#include <stdbool.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define TRM_HAVE_X86 1
#define TRM_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TRM_TARGET_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")))
#define TRM_TARGET_VNNI __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni")))
#else
#define TRM_HAVE_X86 0
#endif

/* Each has what those before it have. AVXVNNI: AVX2, and sums of products of bytes 256 bits at a time, by AVX-VNNI or, on a CPU with
 * AVX-512, by AVX512_VNNI, where the CPU has either. */
typedef enum trm_isa { TRM_ISA_PORTABLE, TRM_ISA_AVX2, TRM_ISA_AVXVNNI, TRM_ISA_AVX512 } trm_isa;

/* What this CPU has, lowered by the environment variable TRIMINE_ISA (avx512|avxvnni|avx2|portable); decided at first
 * use. */
trm_isa trm_isa_get(void);
/* "portable", "avx2", "avxvnni" or "avx512"; borrowed for ever. */
const char *trm_isa_name(trm_isa isa);
/* Lowers the choice to at most isa from now on, or raises it again up to what the CPU has. For tests: no
 * other thread may be computing. Returns what is used now. */
trm_isa trm_isa_limit(trm_isa isa);

/* Does the CPU have AVX-VNNI, with the encoding of AVX2? */
bool trm_isa_cpu_has_avxvnni(void);
/* Does it have AVX512_VNNI, for vectors of any length? */
bool trm_isa_cpu_has_avx512_vnni(void);
/* Is there an instruction for sums of products of bytes that may be used? */
bool trm_isa_sums_bytes(void);

#endif
