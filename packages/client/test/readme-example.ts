import { ApiError, createClient } from "@apiforge/client";
import type { ProjectRoutes } from "@apiforge/example-projects";

const { API_URL: baseUrl = "http://127.0.0.1:4000", TOKEN: token = "" } = process.env;
const api = createClient<ProjectRoutes>({ baseUrl, token });

const { data } = await api.post("/api/projects", { body: { name: "From the client" } });
console.log(`created ${data.name}`);
for await (const project of api.list("/api/projects", { query: { status: "active" } })) {
  console.log(`listed ${project.name}`);
}
await api.get("/api/projects/:id", { params: { id: "proj_none" } }).catch((error: unknown) => {
  if (error instanceof ApiError) console.log(`refused: ${error.code}`);
});
