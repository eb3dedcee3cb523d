/* How a training loop uses the library: a linear embedding z = W x, trained by gradient descent on the
 * semihard triplet loss of all rows of all ranks. Only public headers.
 *
 *   mpirun -n 2 train_linear
 *
 * Every rank has its own rows, here made up; W is the same everywhere. A step embeds the rank's rows, asks
 * for the loss and its gradient with respect to them, and adds up dW = sum over rows of dz x^T over the
 * ranks. The loss is one number, equal on all ranks, and the gradient is that of the problem on one process:
 * no factor of the number of ranks anywhere. Exit code 0 if the loss fell to less than half. */
#include <trimine/trimine.h>

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUTS = 12, OUTPUTS = 3, CLASSES = 6, ROWS_A_RANK = 90, STEPS = 60 };

/* Pseudo-random in [-1, 1): splitmix64 of a counter. */
static float noise(uint64_t counter)
{
    uint64_t z = (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (float)((int64_t)((z ^ z >> 31) >> 40) - (INT64_C(1) << 23)) / (float)(1 << 23);
}

/* Rows of six classes: the classes differ in the first inputs, the others are louder and say nothing. */
static void make_rows(int rank, int64_t count, float *x, int64_t *label)
{
    for (int64_t i = 0; i < count; i++) {
        const uint64_t row = (uint64_t)rank * 1000 + (uint64_t)i;
        label[i] = (int64_t)(row % CLASSES);
        for (int k = 0; k < INPUTS; k++) {
            const float centre = k < 4 ? noise((uint64_t)(label[i] * INPUTS + k)) : 0.0F;
            x[i * INPUTS + k] = centre + (k < 4 ? 0.1F : 0.7F) * noise(1000 + row * INPUTS + (uint64_t)k);
        }
    }
}

static void embed(const float *w, const float *x, int64_t count, float *z)
{
    for (int64_t i = 0; i < count; i++)
        for (int o = 0; o < OUTPUTS; o++) {
            z[i * OUTPUTS + o] = 0.0F;
            for (int k = 0; k < INPUTS; k++)
                z[i * OUTPUTS + o] += w[o * INPUTS + k] * x[i * INPUTS + k];
        }
}

/* The loss of embeddings z, and its gradient. Collective. */
static double loss_of(trm_run *run, int64_t count, const float *z, const int64_t *label, float *gradient)
{
    trm_error err = TRM_ERROR_INIT;
    trm_rows *rows = NULL;
    trm_mine_summary mined;
    trm_loss_summary loss = {0};
    trm_evaluate_options options;
    const trm_batch batch = {.count = count, .dim = OUTPUTS, .embeddings = z, .labels = label};
    trm_evaluate_options_init(&options); /* semihard, all positives, mean over all pairs */
    options.loss.margin = options.mine.margin = 0.5;
    options.mine.window = TRM_WINDOW_NONE;
    options.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    trm_status status = trm_rows_create(run, count, OUTPUTS, z, label, 0, NULL, &rows, &err);
    if (status == TRM_OK)
        status = trm_evaluate(run, rows, &batch, &options, NULL, NULL, gradient, &mined, &loss, NULL, &err);
    trm_rows_destroy(&rows);
    if (status != TRM_OK) {
        fprintf(stderr, "rank %d: %s\n", err.rank, err.text);
        MPI_Abort(MPI_COMM_WORLD, trm_exit_code(status));
    }
    return loss.value;
}

/* w -= rate * sum over all rows of gradient x^T. Collective. */
static void descend(float *w, const float *gradient, const float *x, int64_t count, double rate)
{
    double dw[OUTPUTS * INPUTS] = {0.0};
    for (int64_t i = 0; i < count; i++)
        for (int o = 0; o < OUTPUTS; o++)
            for (int k = 0; k < INPUTS; k++)
                dw[o * INPUTS + k] += (double)gradient[i * OUTPUTS + o] * (double)x[i * INPUTS + k];
    MPI_Allreduce(MPI_IN_PLACE, dw, OUTPUTS * INPUTS, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < OUTPUTS * INPUTS; i++)
        w[i] -= (float)(rate * dw[i]);
}

int main(int argc, char **argv)
{
    int provided = 0, rank = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const int64_t count = ROWS_A_RANK + 7 * rank; /* ranks need not have the same number of rows */
    float *x = malloc((size_t)count * INPUTS * sizeof *x);
    float *z = malloc((size_t)count * OUTPUTS * sizeof *z);
    float *gradient = malloc((size_t)count * OUTPUTS * sizeof *gradient);
    int64_t *label = malloc((size_t)count * sizeof *label);
    float w[OUTPUTS * INPUTS];
    trm_run *run = NULL;
    trm_run_options options;
    trm_error err = TRM_ERROR_INIT;
    trm_run_options_init(&options);
    options.threads = 1;
    if (x == NULL || z == NULL || gradient == NULL || label == NULL ||
        trm_run_create(MPI_COMM_WORLD, &options, &run, &err) != TRM_OK) {
        fprintf(stderr, "train_linear: %s\n", err.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
        return 1;
    }
    make_rows(rank, count, x, label);
    for (int i = 0; i < OUTPUTS * INPUTS; i++)
        w[i] = 0.5F * noise(77777 + (uint64_t)i);

    double first = 0.0, last = 0.0;
    for (int step = 0; step < STEPS; step++) {
        embed(w, x, count, z);
        last = loss_of(run, count, z, label, gradient);
        first = step == 0 ? last : first;
        if (rank == 0 && step % 10 == 0)
            printf("step %3d  loss %.6f\n", step, last);
        descend(w, gradient, x, count, 0.05);
    }
    if (rank == 0)
        printf("step %3d  loss %.6f\n", STEPS, last);
    trm_run_destroy(&run);
    free(x);
    free(z);
    free(gradient);
    free(label);
    MPI_Finalize();
    return last < 0.5 * first ? 0 : 1;
}
