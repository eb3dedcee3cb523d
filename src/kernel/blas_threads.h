/* The BLAS that this process runs with: which one it is, and keeping it to one thread a call, since trimine's
 * own threads call it side by side.
 *
 * Its functions are looked up by name while the program runs: libblas.so.3 and libopenblas.so.0 may be
 * another library than the one that the program was linked with (Debian's alternatives). Not collective. */
#ifndef TRM_KERNEL_BLAS_THREADS_H
#define TRM_KERNEL_BLAS_THREADS_H

#include <stdbool.h>
#include <stddef.h>

/* A function, to be cast to its own type before it is called. */
typedef void (*trm_blas_function)(void);

/* NULL where this BLAS has none of that name. */
trm_blas_function trm_blas_find(const char *name);

/* From now on each call uses one thread, where this BLAS has a way to say so. */
void trm_blas_one_thread(void);

/* Must calls wait for each other, because two at once may give wrong numbers? So it is with an OpenBLAS that was
 * built for one thread: also Debian's, in spite of its USE_LOCKING=1, gave wrong products under two threads. Known
 * once trm_blas_one_thread was called. */
bool trm_blas_takes_turns(void);

/* The products of rows of A with rows of B: C, rows x cols. Rows of A and B are depth floats, one behind the other and the
 * next row stride further, or, if k_major, stride apart and the next row beside it. Threads may call it side by side. */
void trm_blas_sgemm(bool k_major, int rows, int cols, int depth, const float *a, int a_stride, const float *b,
                    int b_stride, float *c, int c_stride);

/* "OpenBLAS 0.3.21 ...", "BLIS 0.9.0", "reference BLAS"; else the library's file. Writes at most size bytes.
 */
void trm_blas_describe(char *text, size_t size);

/* What to mind about calling this BLAS from that many threads, as half a sentence after its name; NULL where
 * there is nothing. Borrowed for ever. */
const char *trm_blas_caution(int threads);

#endif
