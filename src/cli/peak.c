/* Measures sgemm; see peak.h. */
#include "cli/peak.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <cblas.h>
#include <omp.h>

/* Of one thread: two operands and their product. */
static int64_t floats_each(const trm_peak *peak)
{
    return 2 * (int64_t)peak->rows * peak->depth + (int64_t)peak->rows * peak->rows;
}

trm_status trm_peak_create(MPI_Comm comm, int threads, int rows, int depth, trm_peak *peak, trm_error *err)
{
    *peak = (trm_peak){comm, threads, rows, depth, NULL};
    const int64_t count = threads * floats_each(peak);
    peak->operands = trm_alloc(count, sizeof *peak->operands);
    trm_status status = peak->operands == NULL
                            ? trm_fail_memory(err, "peak measurement", count, sizeof *peak->operands)
                            : TRM_OK;
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        peak->operands[i] = (float)(i % 17) * 0.125f - 1.0f;
    return trm_agree(comm, status, err);
}

/* Calls sgemm over and over for at least so many seconds; returns flops, and adds the seconds it took. */
static double multiply_for(const trm_peak *peak, double least, double *seconds)
{
    const int rows = peak->rows, depth = peak->depth;
    float *x = peak->operands + omp_get_thread_num() * floats_each(peak), *y = x + (int64_t)rows * depth,
          *z = y + (int64_t)rows * depth;
    const double start = trm_clock();
    int64_t calls = 0;
    do {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, rows, depth, 1.0f, x, depth, y, depth,
                    0.0f, z, rows);
        calls++;
        *seconds = trm_clock() - start;
    } while (*seconds < least);
    return 2.0 * rows * rows * depth * (double)calls;
}

trm_rate trm_peak_measure(const trm_peak *peak, const trm_counter *counter)
{
    enum { GFLOPS, FLOPS, COUNTED, SUMS };
    double gflops = 0.0, flops = 0.0, sum[SUMS];
    MPI_Barrier(peak->comm);
    const double before = trm_counter_now(counter);
#pragma omp parallel num_threads(peak->threads) reduction(+ : gflops, flops)
    {
        double seconds = 0.0;
        const double own = multiply_for(peak, 0.2, &seconds);
        gflops += own / seconds / 1e9;
        flops += own;
    }
    sum[GFLOPS] = gflops;
    sum[FLOPS] = flops;
    sum[COUNTED] = trm_counter_now(counter) - before;
    MPI_Allreduce(MPI_IN_PLACE, sum, SUMS, MPI_DOUBLE, MPI_SUM, peak->comm);
    return (trm_rate){sum[GFLOPS], sum[COUNTED] > 0.0 ? sum[FLOPS] / sum[COUNTED] : 0.0};
}

void trm_peak_free(trm_peak *peak)
{
    trm_free(peak->operands);
    peak->operands = NULL;
}
