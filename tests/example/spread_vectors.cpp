// The library from C++: rows in std::vectors, moved along the gradient of the batch-hard loss until the
// classes are apart.
//
//   mpirun -n 2 spread_vectors
//
// Ranks may have any number of rows. Here rank 0 has none where there are others, so its vectors' data() may
// be null, and it still takes part in every call. The loss is the same number on all ranks. Exit code 0 if it
// fell to less than half.
#define OMPI_SKIP_MPICXX 1 // without MPI's own C++ bindings, which MPI 3 removed
#define MPICH_SKIP_MPICXX 1
#include <trimine/trimine.h>

#include <mpi.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace
{

constexpr int dim = 3, classes = 4, rows_a_rank = 40, steps = 60;

struct destroy {
    void operator()(trm_run *run) const
    {
        trm_run_destroy(&run);
    }
    void operator()(trm_rows *rows) const
    {
        trm_rows_destroy(&rows);
    }
};
using run_handle = std::unique_ptr<trm_run, destroy>;
using rows_handle = std::unique_ptr<trm_rows, destroy>;

// All ranks get the same status, so all of them throw, or none.
void check(trm_status status, const trm_error &err)
{
    if (status != TRM_OK)
        throw std::runtime_error(err.text);
}

run_handle make_run()
{
    trm_run *run = nullptr;
    trm_error err = TRM_ERROR_INIT;
    trm_run_options options;
    trm_run_options_init(&options);
    options.threads = 1;
    check(trm_run_create(MPI_COMM_WORLD, &options, &run, &err), err);
    return run_handle(run);
}

// The loss of x, and its gradient with respect to x. Collective.
double loss_of(trm_run *run, const std::vector<float> &x, const std::vector<std::int64_t> &labels,
               std::vector<float> &gradient)
{
    const auto count = static_cast<std::int64_t>(labels.size());
    trm_error err = TRM_ERROR_INIT;
    trm_rows *made = nullptr;
    check(trm_rows_create(run, count, dim, x.data(), labels.data(), 0, nullptr, &made, &err), err);
    const rows_handle rows(made);

    trm_evaluate_options options;
    trm_evaluate_options_init(&options);
    options.source = TRM_SOURCE_BATCH_HARD;
    options.loss.margin = 0.5;
    trm_batch batch{};
    batch.count = count;
    batch.dim = dim;
    batch.embeddings = x.data();
    batch.labels = labels.data();
    trm_mine_summary mined;
    trm_loss_summary loss;
    gradient.resize(x.size());
    check(trm_evaluate(run, rows.get(), &batch, &options, nullptr, nullptr, gradient.data(), &mined, &loss,
                       nullptr, &err),
          err);
    return loss.value;
}

bool equal_everywhere(double value)
{
    double ends[2] = {value, -value};
    MPI_Allreduce(MPI_IN_PLACE, ends, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return ends[0] == -ends[1];
}

bool spread(int rank, int ranks)
{
    const run_handle run = make_run();
    std::vector<float> x, gradient;
    std::vector<std::int64_t> labels;
    for (int i = 0; i < (rank == 0 && ranks > 1 ? 0 : rows_a_rank); i++) {
        labels.push_back(i % classes);
        for (int k = 0; k < dim; k++) // overlapping clouds
            x.push_back(static_cast<float>(std::sin(labels.back() * 2.0 + k) +
                                           0.7 * std::sin(i * 7.0 + k * 31.0 + rank)));
    }
    double first = 0.0, last = 0.0;
    bool equal = true;
    for (int step = 0; step <= steps; step++) {
        last = loss_of(run.get(), x, labels, gradient);
        equal = equal && equal_everywhere(last);
        first = step == 0 ? last : first;
        if (rank == 0 && step % 10 == 0)
            std::printf("step %3d  loss %.6f\n", step, last);
        for (std::size_t i = 0; i < x.size(); i++)
            x[i] -= 0.5F * gradient[i];
    }
    return equal && last < 0.5 * first;
}

} // namespace

int main(int argc, char **argv)
{
    int provided = 0, rank = 0, ranks = 0, code = 1;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    try {
        code = spread(rank, ranks) ? 0 : 1;
    } catch (const std::exception &error) {
        if (rank == 0)
            std::fprintf(stderr, "spread_vectors: %s\n", error.what());
    }
    MPI_Finalize();
    return code;
}
