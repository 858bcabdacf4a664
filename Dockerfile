# The image holds one static binary, without a shell or package manager. The binary writes no files, so the root file system
# can be read-only and /tmp is not needed. It needs DATABASE_URL and REDIS_URL. The same image migrates the database:
#   docker run --rm -e DATABASE_URL=... IMAGE migrate
# --build-arg REVISION=$(git rev-parse HEAD) makes -version and the metrics name the commit.
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG REVISION
# The same Go, sources and revision make the same bytes, in any folder.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.revision=${REVISION}" -o /out/database-service ./local \
 && echo 'nonroot:x:65532:65532::/:/database-service' > /out/passwd \
 && echo 'nonroot:x:65532:' > /out/group

FROM scratch
# rediss:// and sslmode=verify-full verify certificates against these.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /out/database-service /database-service
# Without DATABASE_URL it must fail, not fetch a PostgreSQL.
ENV POSTGRES_FETCH=never
# For probes and Prometheus. Publish this port to operators only, never to callers.
ENV ADMIN_ADDR=0.0.0.0:50053
USER 65532:65532
EXPOSE 50052 50053
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/database-service", "healthcheck"]
ENTRYPOINT ["/database-service"]
