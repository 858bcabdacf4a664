"""Waits for LocalStack and creates the secret game-database. See scripts/localstack/start."""

import json
import sys
import time
import urllib.request
from urllib.parse import unquote, urlsplit

import boto3

REGION = "us-east-1"


def wait_for(endpoint):
    for _ in range(600):
        try:
            with urllib.request.urlopen(endpoint + "/_localstack/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"LocalStack does not answer at {endpoint} within a minute")


def main(endpoint, database):
    parts = urlsplit(database)
    secret = {
        "engine": "postgres",
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname,
        "port": parts.port or 5432,
        "dbname": unquote(parts.path.lstrip("/")),
    }
    wait_for(endpoint)
    client = boto3.client(
        "secretsmanager", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )
    arn = client.create_secret(Name="game-database", SecretString=json.dumps(secret))["ARN"]
    print(f"export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test")
    print(f"export DATABASE_SECRET_ARN={arn} DATABASE_URL='postgres://?sslmode=disable'", flush=True)


main(*sys.argv[1:])
