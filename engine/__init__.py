"""Where text comes from: vLLM in this process and its scripted twin. The only package that imports vllm."""
